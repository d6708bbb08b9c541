// node node_facts.js ADDRESS: answers the questions on stdin (a JSON list) with a JSON list on stdout. Connects as users do.

import { text } from "node:stream/consumers";
import { connect } from "@sonichaos/client/node";

import { answer, type Question } from "./facts.js";

const [address = ""] = process.argv.slice(2);
const answers: unknown[] = [];
for (const question of JSON.parse(await text(process.stdin)) as Question[]) {
  const { transport, close } = connect(address, {}, { service: question.service });
  answers.push(await answer(transport, question));
  close();
}
console.log(JSON.stringify(answers));
