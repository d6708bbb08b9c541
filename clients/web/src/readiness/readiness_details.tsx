import type { ReactNode } from "react";

import { en } from "../messages/en";
import { SignOut } from "../session/sign_in";
import style from "./readiness_details.module.css";
import type { Readiness } from "./readiness_poller";
import { deviceName } from "./service_readiness";
import { StateLine } from "./state_line";

const ONE_DECIMAL = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
const STARTER = "starter";

type Fact = readonly [name: string, value: ReactNode];

function Facts({ facts }: { readonly facts: readonly Fact[] }) {
  return (
    <dl className={style.facts}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function RendererFacts({ model }: { readonly model: NonNullable<Readiness["renderModel"]> }) {
  const parameters = model.models.reduce((sum, part) => sum + Number(part.parameters), 0);
  const offers = [
    model.supportsScore && en.readiness.playsScores,
    model.supportsLyrics && en.readiness.singsLyrics,
    model.drumsRerenderEnabled && en.readiness.rerendersDrums,
  ].filter((offer) => offer !== false);
  return (
    <Facts
      facts={[
        [en.readiness.model, `${model.name}, ${en.readiness.parameters(ONE_DECIMAL.format(parameters / 1e6))}`],
        [en.readiness.device, deviceName(model.fingerprint)],
        [en.readiness.licence, model.licence],
        [en.readiness.length, en.readiness.lengthRange(model.minSeconds, model.maxSeconds)],
        [en.readiness.offers, offers.length === 0 ? en.readiness.offersBasics : offers.join(", ")],
      ]}
    />
  );
}

function SeparatorFacts({ model }: { readonly model: NonNullable<Readiness["separationModel"]> }) {
  const { realtimeFactor } = model;
  return (
    <Facts
      facts={[
        [en.readiness.model, `${model.name}, ${en.readiness.models(model.models)}`],
        [en.readiness.device, deviceName(model.fingerprint)],
        [en.readiness.licence, model.licence],
        [en.readiness.stems, model.sources.join(", ")],
        [
          en.readiness.speed,
          realtimeFactor > 0 ? en.readiness.speedValue(ONE_DECIMAL.format(realtimeFactor)) : en.readiness.speedUnknown,
        ],
      ]}
    />
  );
}

function Missing({ renderModel, separationModel }: Readiness) {
  const items: { readonly text: string; readonly commands: readonly string[] }[] = [];
  if (separationModel?.name === STARTER)
    items.push({
      text: en.readiness.missingSeparator,
      commands: [en.readiness.fetchSeparator, en.readiness.startSeparator],
    });
  if (renderModel?.supportsLyrics === false)
    items.push({ text: en.readiness.missingLyrics, commands: [en.readiness.startAceStep] });
  if (renderModel?.supportsScore === false)
    items.push({ text: en.readiness.missingScore, commands: [en.readiness.startStarter] });
  if (items.length === 0) return null;
  return (
    <section>
      <h3>{en.readiness.missing}</h3>
      <ul className={style.missing}>
        {items.map(({ text, commands }) => (
          <li key={text}>
            {text}
            {commands.map((command) => (
              <code key={command}>{command}</code>
            ))}
          </li>
        ))}
      </ul>
    </section>
  );
}

interface ReadinessDetailsProps {
  readonly readiness: Readiness;
}

/** What is loaded, on which device, under which licence, and how to get what is missing. */
export function ReadinessDetails({ readiness }: ReadinessDetailsProps) {
  const { render, separation, renderModel, separationModel, release } = readiness;
  return (
    <div className={style.details}>
      <h2>{en.readiness.details}</h2>
      <section>
        <h3>{en.readiness.renderer}</h3>
        <StateLine name={en.readiness.renderer} service={render} />
        {renderModel ? <RendererFacts model={renderModel} /> : <p className="muted">{en.readiness.notLoaded}</p>}
      </section>
      <section>
        <h3>{en.readiness.separator}</h3>
        <StateLine name={en.readiness.separator} service={separation} />
        {separationModel ? (
          <SeparatorFacts model={separationModel} />
        ) : (
          <p className="muted">{en.readiness.notLoaded}</p>
        )}
      </section>
      <Missing {...readiness} />
      <SignOut />
      {release !== "" && <p className="muted">{en.readiness.release(release)}</p>}
    </div>
  );
}
