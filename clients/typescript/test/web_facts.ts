// The facts in a page: `answerAll` of the window.

import { connect } from "@sonichaos/client/web";

import { answer, type Question } from "./facts.js";

async function answerAll(address: string, questions: readonly Question[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const question of questions) {
    answers.push(await answer(connect(address, { service: question.service }), question));
  }
  return answers;
}

Object.assign(globalThis, { answerAll });
