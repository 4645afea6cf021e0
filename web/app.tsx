import { QueryClientProvider } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';
import { I18nProvider, RouterProvider } from 'react-aria-components';
import { Route, Switch, useLocation } from 'wouter';
import { BillingPage } from './billing/billing-page.tsx';
import { createQueryClient } from './data/query-client.ts';
import { LanguageProvider, useLanguage } from './i18n/language.tsx';
import { MyTeams } from './layout/my-teams.tsx';
import { NotFound } from './layout/not-found.tsx';
import { PageSkeleton } from './layout/page-skeleton.tsx';
import { TeamPage } from './layout/team-page.tsx';
import { FaultBoundary } from './ui/fault-boundary.tsx';

const queryClient = createQueryClient();
const UsagePage = lazy(async () => ({ default: (await import('./usage/usage-page.tsx')).UsagePage }));
const RunPage = lazy(async () => ({ default: (await import('./usage/run-page.tsx')).RunPage }));

/** Everything on the page: the providers, and one route for each address. */
export function App() {
  return (
    <QueryClientProvider client={queryClient}>
      <LanguageProvider>
        <FaultBoundary>
          <Routes />
        </FaultBoundary>
      </LanguageProvider>
    </QueryClientProvider>
  );
}

function Routes() {
  const { locale } = useLanguage();
  const [, navigate] = useLocation();
  return (
    <I18nProvider locale={locale}>
      <RouterProvider navigate={navigate}>
        <Switch>
          <Route path="/">
            <MyTeams />
          </Route>
          <Route path="/teams/:teamId/billing">
            {({ teamId }) => (
              <TeamPage key={teamId} teamId={teamId} section="billing">
                {(team) => <BillingPage team={team} />}
              </TeamPage>
            )}
          </Route>
          <Route path="/teams/:teamId/usage">
            {({ teamId }) => (
              <TeamPage key={teamId} teamId={teamId} section="usage">
                {(team) => (
                  <Suspense fallback={<PageSkeleton section="usage" />}>
                    <UsagePage team={team} />
                  </Suspense>
                )}
              </TeamPage>
            )}
          </Route>
          <Route path="/teams/:teamId/usage/runs/:runId">
            {({ teamId, runId }) => (
              <TeamPage key={teamId} teamId={teamId} section="usage">
                {(team) => (
                  <Suspense fallback={<PageSkeleton section="usage" />}>
                    <RunPage team={team} runId={decoded(runId)} />
                  </Suspense>
                )}
              </TeamPage>
            )}
          </Route>
          <Route>
            <NotFound />
          </Route>
        </Switch>
      </RouterProvider>
    </I18nProvider>
  );
}

/** A part of the path, decoded. If it is malformed it stays as it is, and the API refuses it. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
