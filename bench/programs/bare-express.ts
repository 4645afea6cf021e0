import express from 'express';

/**
 * Baseline E: a bare Express route that parses the JSON of a usage and answers with a receipt of the same size. No
 * authentication, no schema, no price, no database.
 */
const receipt = {
  id: '01990000-0000-7000-8000-000000000000',
  action: 'model.gpt-5',
  credits: '0.6',
  lines: [
    { meter: 'input_tokens', quantity: '1200', unitPrice: '0.00015', credits: '0.18' },
    { meter: 'output_tokens', quantity: '350', unitPrice: '0.0012', credits: '0.42' },
  ],
  grants: [{ grantId: '01990000-0000-7000-8000-000000000000', source: 'trial', credits: '0.6' }],
  priceVersion: 1,
  holdId: null,
  balance: { available: '2999999.4' },
};

const app = express();
app.disable('x-powered-by');
app.disable('etag'); // it would hash every answer, and our API sends none
app.use(express.json());
app.post('/v1/teams/:teamId/usage', (_request, response) => void response.status(201).json(receipt));
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.send?.({ port: address.port });
});
process.once('disconnect', () => process.exit());
