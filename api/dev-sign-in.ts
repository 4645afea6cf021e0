import { randomBytes } from 'node:crypto';
import express, { type Express, type Response } from 'express';
import { z } from 'zod';
import type { Database } from '../database/connection.ts';
import { type Role, roles } from '../database/entities/member.ts';
import { escapeHtml } from '../outbox/email/render-email.ts';
import { createSession, longestSessionSeconds } from '../teams/sessions.ts';
import { invalidRequest } from './problem.ts';
import { demandSameOrigin, sessionCookie } from './session-cookie.ts';
import { teamIdSchema, userIdSchema } from './shapes.ts';

/** The teams on the page, those with the most members first, and the members of each. */
const mostTeams = 12;
const mostMembers = 12;

const choiceIn = z.strictObject({ userId: userIdSchema, teamId: teamIdSchema });

interface TeamOfPage {
  id: string;
  name: string;
  members: { userId: string; name: string; role: Role }[];
}

/**
 * `/dev/sign-in`: signs a developer's browser in as any user of the database, with one click. It checks no password, so
 * it exists only outside production, and answers only this machine (`demandThisMachine`).
 */
export function serveDevSignIn(app: Express, database: Database): void {
  app.get('/dev/sign-in', async (_request, response) => {
    sendPage(response, await listTeams(database));
  });

  app.post(
    '/dev/sign-in',
    express.urlencoded({ extended: false, limit: '1kb' }),
    async (request, response) => {
      demandSameOrigin(request.method, request.headers);
      const parsed = z.object({ body: choiceIn }).safeParse({ body: request.body });
      if (!parsed.success) throw invalidRequest(parsed.error);
      const { userId, teamId } = parsed.data.body;
      const until = new Date(Date.now() + longestSessionSeconds * 1_000);
      const { secret, expiresAt } = await database
        .lane('administration')
        .transaction((em) => createSession(em, { userId, until }));
      response.setHeader('Set-Cookie', sessionCookie(secret, expiresAt));
      response.redirect(303, `/teams/${teamId}/billing`);
    },
  );
}

async function listTeams(database: Database): Promise<TeamOfPage[]> {
  const { rows } = await database.lane('reads').pool.query<TeamOfPage>(
    `select id, name,
            (select json_agg(one)
               from (select users.id as "userId", users.name, members.role
                       from members join users on users.id = members.user_id
                      where members.team_id = largest.id
                      order by array_position($3::text[], members.role), users.name
                      limit $2) one) as members
       from (select teams.id, teams.name, teams.created_at, count(*) as size
               from teams join members on members.team_id = teams.id
              where teams.deleted_at is null
              group by teams.id
              order by size desc, teams.created_at desc
              limit $1) largest
      order by size desc, created_at desc`,
    [mostTeams, mostMembers, roles],
  );
  return rows;
}

function sendPage(response: Response, teams: readonly TeamOfPage[]): void {
  const nonce = randomBytes(16).toString('base64');
  response.setHeader(
    'Content-Security-Policy',
    `default-src 'none'; style-src 'nonce-${nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  );
  response.setHeader('Cache-Control', 'no-store');
  response.type('html').send(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in (development)</title>
<style nonce="${nonce}">${style}</style>
<main>
<h1>Sign in</h1>
<p>For development only. Choose a user: their role decides what the page shows. <a href="/dev/mail">E-mails that were sent</a></p>
${teams.map(teamAsHtml).join('\n') || '<p>There are no users yet. Run <code>npm run demo -- --seed</code>, then reload.</p>'}
</main>
`);
}

function teamAsHtml({ id, name, members }: TeamOfPage): string {
  const buttons = members.map(
    (member) => `<form method="post" action="/dev/sign-in">
<input type="hidden" name="teamId" value="${escapeHtml(id)}">
<button name="userId" value="${escapeHtml(member.userId)}">${escapeHtml(member.name)} <small>${member.role}</small></button>
</form>`,
  );
  return `<section><h2>${escapeHtml(name)}</h2>\n<div>${buttons.join('\n')}</div></section>`;
}

const style = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }
h2 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
section div { display: flex; flex-wrap: wrap; gap: .5rem; }
button { font: inherit; padding: .5rem .9rem; border: 1px solid GrayText; border-radius: .5rem; cursor: pointer; }
`;
