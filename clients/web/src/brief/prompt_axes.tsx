import type { AnalyzePromptResponse, RecognizedValue } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { useId } from "react";

import { en } from "../messages/en";
import { useBriefForm } from "./brief_form";
import type { Draft } from "./draft";
import style from "./prompt_axes.module.css";
import { usePromptAnalysis } from "./use_prompt_analysis";

/** One thing that a prompt can say: what was recognised, or who decides it. */
interface Axis {
  readonly name: string;
  readonly values: readonly { readonly value: string; readonly source: string }[];
  /** Who decides what was not recognised, or what overrides the prompt. */
  readonly otherwise: string;
}

const { axes } = en.brief;
const WHOLE_BPM = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });

function sourceText({ text, listed }: RecognizedValue): string {
  if (text === "") return axes.whole;
  return listed ? axes.from(text) : axes.similar(text);
}

function shown(value: RecognizedValue): Axis["values"][number] {
  return { value: value.value, source: sourceText(value) };
}

function bpmText({ minBpm, maxBpm }: AnalyzePromptResponse): string {
  if (minBpm === undefined || maxBpm === undefined) return "";
  const [min, max] = [WHOLE_BPM.format(minBpm), WHOLE_BPM.format(maxBpm)];
  return axes.bpm(min, max);
}

function tempoAxis(analysis: AnalyzePromptResponse, draft: Draft): Axis {
  const range = bpmText(analysis);
  const said = analysis.tempo;
  const words = range === "" ? (said?.value ?? "") : range;
  const values = words === "" ? [] : [{ value: words, source: said === undefined ? axes.whole : sourceText(said) }];
  if (draft.tempo === "bpm") return { name: axes.tempo, values: [], otherwise: axes.setTempo(`${draft.bpm} BPM`) };
  if (draft.tempo === "map") return { name: axes.tempo, values: [], otherwise: axes.setTempoMap };
  return { name: axes.tempo, values, otherwise: draft.score === "midi" ? axes.score : axes.openTempo };
}

function keyAxis({ key }: AnalyzePromptResponse, draft: Draft): Axis {
  if (draft.tonic !== "")
    return { name: axes.key, values: [], otherwise: axes.setKey(`${draft.tonic} ${en.brief.modes[draft.mode]}`) };
  const values = key === "" ? [] : [{ value: key, source: "" }];
  return { name: axes.key, values, otherwise: draft.score === "none" ? axes.openKey : axes.score };
}

/** `composes`: whether the renderer composes a score from what was read. Another one follows the prompt as it is. */
function axesOf(analysis: AnalyzePromptResponse, draft: Draft, composes: boolean): readonly Axis[] {
  const voice = draft.instrumental ? axes.setInstrumental : axes.openVoice;
  return [
    {
      name: axes.instrumentation,
      values: analysis.instrumentation.map(shown),
      otherwise: composes ? axes.openInstrumentation : axes.wholePrompt,
    },
    {
      name: axes.mood,
      values: analysis.mood === undefined ? [] : [shown(analysis.mood)],
      otherwise: composes ? axes.openMood : axes.wholePrompt,
    },
    tempoAxis(analysis, draft),
    keyAxis(analysis, draft),
    {
      name: axes.voice,
      values: analysis.instrumental && !draft.instrumental ? [{ value: axes.instrumental, source: "" }] : [],
      otherwise: voice,
    },
  ];
}

interface PromptAxesProps {
  /** Whether the service answers. */
  readonly ready: boolean;
}

/** What the services read from the prompt as it is typed, and who decides the rest. */
export function PromptAxes({ ready }: PromptAxesProps) {
  const { draft, limits } = useBriefForm();
  const { analysis, waiting, failed } = usePromptAnalysis(draft.prompt, ready);
  const id = useId();
  return (
    <section aria-labelledby={id} className={style.axes}>
      <h3 id={id}>{axes.title}</h3>
      {analysis === undefined ? (
        <p className="muted">{failed ? axes.failed : waiting ? axes.waiting : axes.empty}</p>
      ) : (
        <dl className={waiting ? style.stale : undefined}>
          {axesOf(analysis, draft, limits.supportsScore).map(({ name, values, otherwise }) => (
            <div key={name}>
              <dt>{name}</dt>
              {values.map(({ value, source }) => (
                <dd key={value}>
                  <b>{value}</b> {source !== "" && <span>{source}</span>}
                </dd>
              ))}
              {values.length === 0 && <dd className="muted">{otherwise}</dd>}
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}
