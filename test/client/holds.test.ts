import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, beforeEach, expect, test } from '@jest/globals';
import { generateText, streamText, wrapLanguageModel } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { billingMiddleware } from '../../client/ai.ts';
import { type BillingClient, createBillingClient, type Receipt, withHold } from '../../client/index.ts';
import { firstKey, useApi } from '../api/running-api.ts';

const api = useApi();
let billing: BillingClient;
let teamId: string;
beforeAll(async () => {
  billing = createBillingClient({ baseUrl: api.url, credentials: { serviceKey: firstKey } });
});
beforeEach(async () => {
  ({ teamId } = await api.person());
  await api.give(teamId, '100');
});

const balance = () => billing.GET('/v1/teams/{teamId}/balance', { params: { path: { teamId } } });
const tokens = (input: number | undefined, output: number | undefined) => ({
  inputTokens: { total: input, noCache: input, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: output, text: output, reasoning: 0 },
});
const stop = { unified: 'stop', raw: 'stop' } as const;

test('credits are held while the work goes on, and its real price is captured', async () => {
  const terms = { teamId, action: 'model.gpt-5', credits: '5' };
  const { result, receipt } = await withHold(billing, terms, async () => {
    expect(await balance()).toMatchObject({ available: '95', held: '5' });
    return { result: 'done', cost: { credits: '1.5' } };
  });
  expect({ result, credits: receipt.credits }).toEqual({ result: 'done', credits: '1.5' });
  expect(await balance()).toMatchObject({ available: '98.5', held: '0' });
});

test('work that fails releases its hold, and its own error is thrown', async () => {
  const failing = withHold(billing, { teamId, action: 'model.gpt-5', credits: '5' }, async () => {
    throw new Error('the model is down');
  });
  await expect(failing).rejects.toThrow('the model is down');
  expect(await balance()).toMatchObject({ available: '100', held: '0' });
});

test('work is not begun if its hold is refused', async () => {
  let begun = false;
  const poor = withHold(billing, { teamId, action: 'model.gpt-5', credits: '101' }, async () => {
    begun = true;
    return { result: null, cost: { credits: '1' } };
  });
  await expect(poor).rejects.toMatchObject({ code: 'insufficient_credits' });
  expect(begun).toBe(false);
});

test('a hold is extended while the work goes on', async () => {
  const terms = { teamId, action: 'model.gpt-5', credits: '5', ttlSeconds: 12 };
  const { receipt } = await withHold(billing, terms, async ({ id }) => {
    const params = { path: { holdId: id } };
    const { expiresAt } = await billing.GET('/v1/holds/{holdId}', { params });
    for (let current = expiresAt; current === expiresAt; ) {
      ({ expiresAt: current } = await billing.GET('/v1/holds/{holdId}', { params }));
    }
    return { result: null, cost: { credits: '1' } };
  });
  expect(receipt.credits).toBe('1');
});

function paidModel(model: MockLanguageModelV4, receipts: Receipt[] = []) {
  const onReceipt = (receipt: Receipt) => void receipts.push(receipt);
  const onError = (error: unknown) => {
    throw error;
  };
  const middleware = billingMiddleware({ billing, hold: { teamId }, onReceipt, onError });
  return wrapLanguageModel({ model, middleware });
}

test('an answer of a language model costs the tokens that the model reports', async () => {
  const receipts: Receipt[] = [];
  const content = [{ type: 'text' as const, text: 'yes' }];
  const doGenerate = { content, finishReason: stop, usage: tokens(2_000, 1_000), warnings: [] };
  const model = paidModel(new MockLanguageModelV4({ modelId: 'gpt-5', doGenerate }), receipts);
  const { text } = await generateText({ model, prompt: 'Is it so?' });
  expect(text).toBe('yes');
  expect(receipts.map(({ credits }) => credits)).toEqual(['1.5']);
  expect(await balance()).toMatchObject({ available: '98.5', held: '0' });
});

test('the bytes of an image in a prompt are not counted as tokens', async () => {
  const receipts: Receipt[] = [];
  const content = [{ type: 'text' as const, text: 'a cat' }];
  const doGenerate = { content, finishReason: stop, usage: tokens(undefined, undefined), warnings: [] };
  const model = paidModel(new MockLanguageModelV4({ modelId: 'gpt-5', doGenerate }), receipts);
  const file = { type: 'file' as const, mediaType: 'image/png', data: Buffer.alloc(1_000_000, 7) };
  await generateText({
    model,
    messages: [{ role: 'user', content: [{ type: 'text', text: 'What?' }, file] }],
  });
  const [input] = receipts[0]?.lines.filter(({ meter }) => meter === 'input_tokens') ?? [];
  expect(Number(input?.quantity)).toBeGreaterThan(10);
  expect(Number(input?.quantity)).toBeLessThan(100);
});

test('a model call that fails costs nothing', async () => {
  const doGenerate = async () => {
    throw new Error('the model is down');
  };
  const model = paidModel(new MockLanguageModelV4({ modelId: 'gpt-5', doGenerate }));
  await expect(generateText({ model, prompt: 'Hello', maxRetries: 0 })).rejects.toThrow('the model is down');
  expect(await balance()).toMatchObject({ available: '100', held: '0' });
});

test('a stream that is aborted costs its prompt and the output until then', async () => {
  const controller = new AbortController();
  const paid = Promise.withResolvers<Receipt>();
  const doStream = async () => ({
    stream: new ReadableStream({
      start(stream) {
        stream.enqueue({ type: 'text-start', id: '1' } as const);
        stream.enqueue({ type: 'text-delta', id: '1', delta: 'x'.repeat(4_000) } as const);
      },
    }),
  });
  const middleware = billingMiddleware({
    billing,
    hold: { teamId },
    onReceipt: paid.resolve,
    onError: paid.reject,
  });
  const model = wrapLanguageModel({
    model: new MockLanguageModelV4({ modelId: 'gpt-5', doStream }),
    middleware,
  });
  const { textStream } = streamText({ model, prompt: 'Go on', abortSignal: controller.signal });
  for await (const _ of textStream) controller.abort();
  const receipt = await paid.promise;
  expect(receipt.lines.find(({ meter }) => meter === 'output_tokens')).toMatchObject({ quantity: '1000' });
  expect(await balance()).toMatchObject({ held: '0' });
});

test('the example program streams a text that its team pays for', async () => {
  const program = join(import.meta.dirname, '../../client/examples/stream-text.ts');
  const env = { ...process.env, BILLING_URL: api.url, BILLING_KEY: firstKey, TEAM_ID: teamId };
  const { stdout } = await promisify(execFile)(process.execPath, [program], { env });
  expect(stdout).toContain('Credits are held, then captured.');
  expect(stdout).toContain('Paid 1.5 credits.');
  expect(await balance()).toMatchObject({ available: '98.5', held: '0' });
});
