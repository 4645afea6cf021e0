import type { components } from '../../client/index.ts';

/** A schema of the API's document, by its name. */
export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name];
