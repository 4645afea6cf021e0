import { globSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

/** Writes `.br` and `.gz` beside each text file in `assets/` of a folder, so that the API compresses nothing itself. */
export async function compressFiles(folder: string): Promise<void> {
  const files = globSync('assets/*.{js,css,svg}', { cwd: folder });
  await Promise.all(
    files.map(async (file) => {
      const path = join(folder, file);
      const content = await readFile(path);
      const quality = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
      await Promise.all([
        promisify(brotliCompress)(content, { params: quality }).then((made) => writeFile(`${path}.br`, made)),
        promisify(gzip)(content, { level: 9 }).then((made) => writeFile(`${path}.gz`, made)),
      ]);
    }),
  );
}
