import { expect, test } from '@jest/globals';
import { useApi } from './running-api.ts';

const api = useApi();

test('the payers of a team set its alerts, everyone in it reads them, and the change is audited', async () => {
  const { token, teamId } = await api.person();
  const path = `/v1/teams/${teamId}/alerts`;
  expect(await api.send('GET', path, { as: token })).toMatchObject({
    status: 200,
    json: { lowBalance: ['20%', '5%'], percentOf: '0' },
  });
  expect(
    await api.send('PUT', path, { as: token, body: { lowBalance: ['50%', 100, '12.50', '100'] } }),
  ).toMatchObject({ status: 200, json: { lowBalance: ['50%', '100', '12.5'] } });
  expect(await api.send('GET', path)).toMatchObject({ json: { lowBalance: ['50%', '100', '12.5'] } });
  expect(await api.send('GET', `/v1/audit?teamId=${teamId}`)).toMatchObject({
    json: {
      data: expect.arrayContaining([
        expect.objectContaining({
          action: 'alerts.set',
          before: { lowBalance: ['20%', '5%'] },
          after: { lowBalance: ['50%', '100', '12.5'] },
        }),
      ]),
    },
  });
  expect(await api.send('PUT', path, { body: { lowBalance: [] } })).toMatchObject({
    json: { lowBalance: [] },
  });
});

test('thresholds other than 1% to 99% or credits above zero are refused', async () => {
  const { teamId } = await api.person();
  for (const wrong of ['0%', '100%', '5 %', '0', '-1', 'x', '1e3', null]) {
    const reply = await api.sendRaw('PUT', `/v1/teams/${teamId}/alerts`, { body: { lowBalance: [wrong] } });
    expect([wrong, reply.status]).toEqual([wrong, 422]);
  }
  const six = ['1', '2', '3', '4', '5', '6'];
  expect(await api.send('PUT', `/v1/teams/${teamId}/alerts`, { body: { lowBalance: six } })).toMatchObject({
    status: 422,
  });
});
