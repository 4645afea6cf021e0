import { useMutation } from '@tanstack/react-query';
import { billing } from '../data/billing.ts';
import { goTo } from '../data/go-to.ts';
import type { MyTeam } from '../data/teams.ts';

/** Opens Polar's checkout for a plan or a pack, by its key. Polar leads back to the billing page. */
export function useCheckout(team: MyTeam) {
  return useMutation({
    mutationFn: (product: string) =>
      billing.POST('/v1/teams/{teamId}/checkout', {
        params: { path: { teamId: team.id } },
        body: { product },
      }),
    onSuccess: ({ url }) => goTo(url),
  });
}
