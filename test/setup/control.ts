/**
 * An action of payers, banks or Polar's staff: posts to the emulator's control API. Returns its answer.
 * @throws Error if the status is not 2xx
 */
export async function control<T = unknown>(emulatorUrl: string, path: string, body: object = {}): Promise<T> {
  const response = await fetch(`${emulatorUrl}/emulator${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
