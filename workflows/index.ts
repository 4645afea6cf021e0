/** Every workflow of the worker. */
export { teamLifecycle } from './team-lifecycle.ts';
