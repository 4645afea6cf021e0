import type { Context } from '@temporalio/activity';
import type { ActivityInterceptors } from '@temporalio/worker';
import { activitySeconds } from '../metrics.ts';

/** Measures each attempt of an activity. Only registered activities get here, so the label has few values. */
export function measureActivity({ info: { activityType } }: Context): ActivityInterceptors {
  return {
    inbound: {
      async execute(input, next) {
        const end = activitySeconds.startTimer({ activity: activityType });
        try {
          const result = await next(input);
          end({ outcome: 'completed' });
          return result;
        } catch (error) {
          end({ outcome: 'failed' });
          throw error;
        }
      },
    },
  };
}
