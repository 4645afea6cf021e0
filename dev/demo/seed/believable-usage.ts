/** One call of a workflow, as a usage event. */
export interface Call {
  at: Date;
  action: string;
  /** Whole numbers. */
  quantities: Record<string, number>;
  memberId: string;
  apiKeyId: string | null;
  runId: string | null;
  stepId: string | null;
  tags: Record<string, string>;
}

export interface Person {
  id: string;
  /** The share of the team's runs that this person starts. */
  weight: number;
}

/** Whole days since the first day at which three times as much is used: a launch, a campaign. */
const spikes = [34, 56, 57, 79];
const dayMs = 86_400_000;
const hourMs = 3_600_000;
const minuteMs = 60_000;

/**
 * A day's calls, in order of time. The same seed and day give the same calls: office hours on weekdays, little at
 * weekends, more from week to week.
 * @param first  midnight of the first day
 * @param day  whole days since then
 */
export function callsOfDay(first: Date, day: number, people: readonly Person[]): Call[] {
  const random = seededRandom(day + 1);
  const start = first.getTime() + day * dayMs;
  const weekday = new Date(start).getUTCDay();
  const isWeekend = weekday === 0 || weekday === 6;
  const growth = 6 + day / 3;
  const runs = Math.round(
    growth * (isWeekend ? 0.15 : 0.8 + 0.4 * random()) * (spikes.includes(day) ? 2.5 : 1),
  );
  const calls: Call[] = [storageOf(start, day, people)];
  for (let run = 0; run < runs; run++) {
    const workflow = pick(random, workflows);
    const apiKeyId = workflow.apiKeyId;
    const memberId = pick(random, people).id;
    const runId = `run_${new Date(start).toISOString().slice(0, 10)}_${run + 1}`;
    const tags = { workflow: workflow.name, project: pick(random, projects).name };
    // Two random hours make the middle of the day the busiest time.
    let at = start + (isWeekend ? 9 : 7) * hourMs + (random() + random()) * 6 * hourMs;
    for (const { stepId, action, quantities } of workflow.steps(random)) {
      calls.push({ at: new Date(at), action, quantities, memberId, apiKeyId, runId, stepId, tags });
      at += (0.2 + random()) * minuteMs;
    }
  }
  return calls.sort((a, b) => a.at.getTime() - b.at.getTime());
}

interface Step {
  stepId: string;
  action: string;
  quantities: Record<string, number>;
}

interface Workflow {
  name: string;
  weight: number;
  apiKeyId: string | null;
  steps(random: () => number): Step[];
}

const projects = [
  { name: 'spring-campaign', weight: 4 },
  { name: 'help-centre', weight: 3 },
  { name: 'newsletter', weight: 2 },
  { name: 'internal', weight: 1 },
];

const workflows: Workflow[] = [
  {
    name: 'answer-tickets',
    weight: 5,
    apiKeyId: 'key_production',
    steps: (random) => [
      step('start', 'workflow.run', { runs: 1 }),
      step('search', 'knowledge.search', { searches: between(random, 2, 8) }),
      step('answer', 'model.gpt-5-mini', tokens(random, 8_000, 1_200, 20_000)),
    ],
  },
  {
    name: 'write-article',
    weight: 3,
    apiKeyId: null,
    steps: (random) => [
      step('start', 'workflow.run', { runs: 1 }),
      step('research', 'web.page', { pages: between(random, 3, 9) }),
      step('outline', 'model.gemini-2.5-pro', tokens(random, 9_000, 700, 0)),
      step('draft', 'model.claude-sonnet-4.5', tokens(random, 5_000, 1_400, 9_000)),
      step('review', 'model.gpt-5', tokens(random, 5_000, 500, 6_000)),
    ],
  },
  {
    name: 'campaign-images',
    weight: 1,
    apiKeyId: null,
    steps: (random) => [
      step('start', 'workflow.run', { runs: 1 }),
      step('prompts', 'model.claude-haiku-4.5', tokens(random, 2_000, 600, 0)),
      step('images', 'model.flux-1.1-pro', { images: between(random, 1, 2) }),
    ],
  },
  {
    name: 'meeting-notes',
    weight: 1,
    apiKeyId: 'key_zapier',
    steps: (random) => [
      step('start', 'workflow.run', { runs: 1 }),
      step('transcribe', 'model.whisper-large-v3', { seconds: between(random, 600, 1_500) }),
      step('summarise', 'model.gemini-2.5-flash', tokens(random, 12_000, 900, 0)),
    ],
  },
];

/** Stored files, reported once a day. */
function storageOf(start: number, day: number, [owner]: readonly Person[]): Call {
  return {
    at: new Date(start + hourMs),
    action: 'storage.files',
    quantities: { gb_days: 12 + Math.floor(day / 6) },
    memberId: owner?.id ?? '',
    apiKeyId: 'key_production',
    runId: null,
    stepId: null,
    tags: { workflow: 'storage' },
  };
}

function step(stepId: string, action: string, quantities: Record<string, number>): Step {
  return { stepId, action, quantities };
}

/** About these numbers of tokens. */
function tokens(random: () => number, input: number, output: number, cached: number): Record<string, number> {
  const about = (amount: number) => Math.round(amount * (0.5 + random()));
  return {
    input_tokens: about(input),
    output_tokens: about(output),
    ...(cached > 0 ? { cached_tokens: about(cached) } : {}),
  };
}

function between(random: () => number, least: number, most: number): number {
  return least + Math.floor(random() * (most - least + 1));
}

function pick<T extends { weight: number }>(random: () => number, choices: readonly T[]): T {
  let left = random() * choices.reduce((sum, { weight }) => sum + weight, 0);
  for (const choice of choices) {
    left -= choice.weight;
    if (left < 0) return choice;
  }
  throw new Error('there is nothing to choose from');
}

/** Numbers in [0, 1), the same for the same seed: mulberry32. */
function seededRandom(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
