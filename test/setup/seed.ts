/**
 * The seed of random tests: `FC_SEED`, or a new one. Each such test has it in its name, so that a failure can be
 * repeated.
 */
export const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31));
