import type { LanguageModelMiddleware } from 'ai';
import type { BillingClient } from './billing-client.ts';
import type { Receipt } from './meter.ts';
import { type HoldTerms, type OpenHold, openHold } from './with-hold.ts';

type WrapStream = Parameters<NonNullable<LanguageModelMiddleware['wrapStream']>>[0];
type Params = WrapStream['params'];
type StreamPart =
  Awaited<ReturnType<WrapStream['doStream']>>['stream'] extends ReadableStream<infer Part> ? Part : never;
type Usage = Extract<StreamPart, { type: 'finish' }>['usage'];
type Quantities = Record<string, number>;

export interface BillingMiddlewareOptions {
  billing: BillingClient;
  /** Who pays, and what else the hold says: `memberId`, `apiKeyId`. */
  hold: Omit<HoldTerms, 'action' | 'credits' | 'quantities' | 'idempotencyKey'>;
  /** The catalog's action of a model. Default: `model.{modelId}`. */
  action?: (modelId: string) => string;
  /**
   * The meters of the tokens that a call reported; undefined if it reported none. Default: `input_tokens` and
   * `output_tokens`.
   */
  quantities?: (usage: Usage) => Quantities | undefined;
  /** The output tokens to hold for, if the call does not limit them, in tokens. Default: 4,096. */
  expectedOutputTokens?: number;
  /** Called with the receipt of each call. */
  onReceipt?: (receipt: Receipt) => void;
  /** Called if the hold of a failed or aborted call could not be captured or released. The call throws its own error. */
  onError: (error: unknown) => void;
}

/** About four characters are one token in the tokenizers of today's models. */
const charactersPerToken = 4;

/**
 * Middleware for the Vercel AI SDK: each call of the model first holds the credits of its prompt and of the longest answer, then
 * captures the tokens that the model reports. A call that fails before it gives any output releases its hold. A stream that is aborted
 * reports no tokens, so its prompt and the output until then are counted: a token for each four characters,
 * without the bytes of files. A call throws BillingProblem if its hold or its capture is refused.
 *
 * ```ts
 * const model = wrapLanguageModel({
 *   model: openai('gpt-5'),
 *   middleware: billingMiddleware({ billing, hold: { teamId, memberId }, onError: (error) => log.error(error) }),
 * });
 * const { textStream } = streamText({ model, prompt });
 * ```
 */
export function billingMiddleware({
  billing,
  hold,
  action = (modelId) => `model.${modelId}`,
  quantities = reportedTokens,
  expectedOutputTokens = 4_096,
  onReceipt,
  onError,
}: BillingMiddlewareOptions): LanguageModelMiddleware {
  const open = (params: Params, modelId: string): Promise<OpenHold> =>
    openHold(billing, {
      ...hold,
      action: action(modelId),
      quantities: {
        input_tokens: promptTokens(params),
        output_tokens: params.maxOutputTokens ?? expectedOutputTokens,
      },
    });
  const capture = async (held: OpenHold, tokens: Quantities): Promise<void> => {
    onReceipt?.(await held.capture({ quantities: tokens }));
  };

  return {
    specificationVersion: 'v4',

    async wrapGenerate({ doGenerate, params, model }) {
      const held = await open(params, model.modelId);
      let result: Awaited<ReturnType<typeof doGenerate>>;
      let tokens: Quantities;
      try {
        result = await doGenerate();
        tokens = quantities(result.usage) ?? countedTokens(params, charactersOf(result.content));
      } catch (error) {
        await held.release().catch(onError);
        throw error;
      }
      await capture(held, tokens);
      return result;
    },

    async wrapStream({ doStream, params, model }) {
      const held = await open(params, model.modelId);
      let result: Awaited<ReturnType<typeof doStream>>;
      try {
        result = await doStream();
      } catch (error) {
        await held.release().catch(onError);
        throw error;
      }
      let outputCharacters = 0;
      let settled: Promise<void> | undefined;
      /** Once, whichever comes first: the end, an error, the signal, or a reader that cancels. */
      const settle = (usage?: Usage): Promise<void> => {
        const reported = usage && quantities(usage);
        if (settled) return settled;
        if (reported) settled = capture(held, reported);
        else if (outputCharacters === 0) settled = held.release();
        else settled = capture(held, countedTokens(params, outputCharacters));
        return settled;
      };
      const abort = () => void settle().catch(onError);
      params.abortSignal?.addEventListener('abort', abort, { once: true });
      const reader = result.stream.getReader();
      const stream = new ReadableStream<StreamPart>({
        async pull(controller) {
          try {
            const { done, value } = await reader.read();
            if (done) {
              await settle();
              return controller.close();
            }
            if ('delta' in value) outputCharacters += value.delta.length;
            if (value.type === 'finish') await settle(value.usage);
            controller.enqueue(value);
          } catch (error) {
            await settle().catch(onError);
            controller.error(error);
          }
        },
        async cancel(reason) {
          await reader.cancel(reason);
          await settle().catch(onError);
        },
      });
      return { ...result, stream };
    },
  };
}

function reportedTokens({ inputTokens, outputTokens }: Usage): Quantities | undefined {
  if (inputTokens.total === undefined || outputTokens.total === undefined) return undefined;
  return { input_tokens: inputTokens.total, output_tokens: outputTokens.total };
}

function countedTokens(params: Params, outputCharacters: number): Quantities {
  return { input_tokens: promptTokens(params), output_tokens: tokensOf(outputCharacters) };
}

function promptTokens({ prompt }: Params): number {
  return tokensOf(charactersOf(prompt));
}

/** Without the bytes of files (`{type: 'data'}`): an image has far more characters than tokens. */
function charactersOf(messages: unknown): number {
  return JSON.stringify(messages, (_key, part) => (part?.type === 'data' ? null : part)).length;
}

function tokensOf(characters: number): number {
  return Math.ceil(characters / charactersPerToken);
}
