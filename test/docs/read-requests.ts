/** One request of `docs/integrating.md`: its two programs and the answer that the document shows. */
export interface DocumentedRequest {
  /** `Metering, 2. Record a usage`. */
  title: string;
  /** The request with curl. */
  shell: string;
  /** The request with the client. */
  client: string;
  status: number;
  /** The JSON of the answer; null if it has no body. */
  answer: string | null;
}

/** What a section says before its first request: the creation of its client, and its variables. */
export interface DocumentedSection {
  heading: string;
  shell: string;
  client: string;
  requests: DocumentedRequest[];
}

/** @throws Error if a request lacks a block or its answer */
export function readSections(markdown: string): DocumentedSection[] {
  return markdown
    .split(/^## /m)
    .slice(1)
    .map((text) => {
      const [setUp = '', ...requests] = text.split(/^### \d+\. /m);
      const heading = firstLine(setUp);
      return {
        heading,
        shell: block(setUp, 'sh') ?? '',
        client: block(setUp, 'ts') ?? '',
        requests: requests.map((request, index) =>
          readRequest(request, `${heading}, ${index + 1}. ${firstLine(request)}`),
        ),
      };
    });
}

function readRequest(text: string, title: string): DocumentedRequest {
  const [shell, client, status] = [
    block(text, 'sh'),
    block(text, 'ts'),
    /^Answer `(\d{3})`/m.exec(text)?.[1],
  ];
  if (shell === undefined || client === undefined || status === undefined)
    throw new Error(`${title} must have a block sh, a block ts and an answer`);
  return { title, shell, client, status: Number(status), answer: block(text, 'json') ?? null };
}

function block(text: string, language: string): string | undefined {
  return new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'm').exec(text)?.[1];
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
