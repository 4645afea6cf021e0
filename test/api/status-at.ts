import { get } from 'node:http';

/** The status of a GET that names another host, as after a name of another site was pointed to this machine. */
export function statusAt(url: string, path: string, host: string): Promise<number | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = get({ host: hostname, port, path, headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.once('error', reject);
  });
}
