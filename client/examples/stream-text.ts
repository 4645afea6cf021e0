import { simulateReadableStream, streamText, wrapLanguageModel } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { billingMiddleware } from '../ai.ts';
import { createBillingClient } from '../index.ts';

// A model call that a team pays for. The model is scripted: replace it by openai('gpt-5') or another one.
// BILLING_URL=http://localhost:3000 BILLING_KEY=… TEAM_ID=… node client/examples/stream-text.ts
const { BILLING_URL: baseUrl = '', BILLING_KEY: serviceKey = '', TEAM_ID: teamId = '' } = process.env;

const scripted = new MockLanguageModelV4({
  modelId: 'gpt-5',
  doStream: async () => ({
    stream: simulateReadableStream({
      chunks: [
        { type: 'text-start', id: '1' },
        { type: 'text-delta', id: '1', delta: 'Credits are held, ' },
        { type: 'text-delta', id: '1', delta: 'then captured.' },
        { type: 'text-end', id: '1' },
        {
          type: 'finish',
          finishReason: { unified: 'stop', raw: 'stop' },
          usage: {
            inputTokens: { total: 2_000, noCache: 2_000, cacheRead: 0, cacheWrite: 0 },
            outputTokens: { total: 1_000, text: 1_000, reasoning: 0 },
          },
        },
      ],
    }),
  }),
});

const billing = createBillingClient({ baseUrl, credentials: { serviceKey } });
const model = wrapLanguageModel({
  model: scripted,
  middleware: billingMiddleware({
    billing,
    hold: { teamId },
    onReceipt: ({ credits }) => console.log(`\nPaid ${credits} credits.`),
    onError: (error) => console.error(error),
  }),
});
const { textStream } = streamText({ model, prompt: 'How does a hold work?' });
for await (const text of textStream) process.stdout.write(text);
