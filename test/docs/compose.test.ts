import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';

const service = z.looseObject({
  image: z.string(),
  user: z.string().optional(),
  read_only: z.boolean(),
  cap_drop: z.array(z.string()),
  security_opt: z.array(z.string()),
  mem_limit: z.string(),
  pids_limit: z.int(),
  logging: z.looseObject({ options: z.looseObject({ 'max-size': z.string() }) }),
  networks: z.array(z.string()),
  ports: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string()).default({}),
});
const file = z
  .object({
    services: z.record(z.string(), service),
    networks: z.record(z.string(), z.object({ internal: z.boolean().default(false) })),
  })
  .parse(parse(readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8'), { merge: true }));
const services = Object.entries(file.services);
const namesOf = (found: typeof services) => found.map(([name]) => name).sort();

test('every service of the compose file is hardened and limited', () => {
  for (const [name, { cap_drop, security_opt, pids_limit }] of services)
    expect({ name, cap_drop, security_opt, pids_limit }).toEqual({
      name,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      pids_limit: 512,
    });
  expect(namesOf(services.filter(([, { read_only }]) => !read_only))).toEqual(['temporal-ui']);
  expect(namesOf(services.filter(([, { user }]) => user === undefined))).toEqual(['temporal-ui']);
});

test('a database of the compose file is reached only by the services that use it, and not from outside', () => {
  const on = (network: string) => namesOf(services.filter(([, { networks }]) => networks.includes(network)));
  expect(on('billing-database')).toEqual(['api', 'catalog', 'migrate', 'postgres', 'worker']);
  expect(on('temporal-database')).toEqual(['temporal', 'temporal-postgres', 'temporal-schema']);
  expect(file.networks).toMatchObject({
    'billing-database': { internal: true },
    'temporal-database': { internal: true },
  });
  for (const [, { ports }] of services) for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
});

test('only the migrations of the compose file know the password of the schema’s owner', () => {
  const knows = services.filter(([, { environment }]) =>
    Object.values(environment).some((value) => value.includes('POSTGRES_OWNER_PASSWORD')),
  );
  expect(namesOf(knows)).toEqual(['migrate', 'postgres']);
});

test('every image of the compose file has an exact version and can be pinned by digest', () => {
  for (const [name, { image }] of services) {
    if (image.startsWith('waveloom-billing:')) continue;
    expect({ name, image }).toEqual({
      name,
      image: expect.stringMatching(/:(\$\{\w+:-)?\d+\.\d+(\.\d+)?\}?\$\{\w+_DIGEST:-\}$/),
    });
  }
});
