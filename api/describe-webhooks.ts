import { z } from 'zod';
import type { ZodOpenApiOperationObject } from 'zod-openapi';
import { messageData, messageTypes } from '../outbox/messages.ts';
import { instantOut } from './shapes.ts';

const headers = z.object({
  'webhook-id': z.guid().meta({ description: 'The message’s id, the same at each attempt' }),
  'webhook-timestamp': z
    .string()
    .meta({ description: 'When it was sent, in seconds since 1970', examples: ['1769860800'] }),
  'webhook-signature': z.string().meta({
    description: 'Signatures of Standard Webhooks, one for each valid secret, separated by spaces',
    examples: ['v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4='],
  }),
});

/** The section `webhooks` of the OpenAPI document: each message that endpoints get. */
export function describeWebhooks(): Record<string, { post: ZodOpenApiOperationObject }> {
  return Object.fromEntries(
    messageTypes.map((type) => {
      const data = messageData[type];
      const { id = type, description = type } = data.meta() ?? {};
      const body = z
        .strictObject({
          type: z.literal(type),
          timestamp: instantOut.meta({ description: 'When its cause was committed' }),
          data,
        })
        .meta({ id: `${id}Message` });
      return [
        type,
        {
          post: {
            operationId: `receive${id}`,
            tags: ['Webhooks'],
            security: [],
            summary: description,
            description:
              'Sent at least once, to each webhook endpoint. Verify the signature, then answer 2xx within 10 s.',
            requestParams: { header: headers },
            requestBody: { required: true, content: { 'application/json': { schema: body } } },
            responses: {
              204: { description: 'The message is accepted. Any other 2xx is the same' },
              410: { description: 'The endpoint wants no more messages: it is disabled' },
            },
          },
        },
      ];
    }),
  );
}
