import { readFileSync } from 'node:fs';
import { isMap, isNode, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { DomainError } from '../domain-error.ts';
import { type Catalog, type CatalogDocument, catalogSchema } from './schema.ts';

/**
 * Reads and checks the catalog's YAML file.
 * @throws DomainError `catalog_invalid`; its message has one line per problem: file, line, path, expected value
 */
export function loadCatalog(file: string): Catalog {
  const lines = new LineCounter();
  const document = parseDocument(readText(file), { lineCounter: lines, prettyErrors: false });
  const syntax = [...document.errors, ...document.warnings];
  if (syntax.length > 0) {
    throw invalid(
      file,
      syntax.map((error) => `${file}:${lines.linePos(error.pos[0]).line}: ${error.message}`),
    );
  }
  return check(
    toJson(file, () => document.toJS()),
    file,
    (path) => `${file}:${lineOf(path)}`,
  );

  // The line of the value at the path. If it is missing, the line of its parent.
  function lineOf(path: readonly PropertyKey[]): number {
    for (let length = path.length; length > 0; length -= 1) {
      const parent = document.getIn(path.slice(0, length - 1), true);
      const last = path[length - 1];
      const pair = isMap(parent) ? parent.items.find((item) => String(item.key) === String(last)) : undefined;
      const node = pair?.key ?? document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return 1;
  }
}

/**
 * Parses the document of a stored version.
 * @throws DomainError `catalog_invalid`, as {@link loadCatalog}
 */
export function parseCatalog(json: unknown, source = 'catalog'): Catalog {
  return check(json, source, () => source);
}

/** The document to store for a catalog: plain JSON in canonical form. {@link parseCatalog} returns the same catalog. */
export function catalogDocument(catalog: Catalog): CatalogDocument {
  return z.encode(catalogSchema, catalog);
}

function check(json: unknown, source: string, place: (path: readonly PropertyKey[]) => string): Catalog {
  const result = catalogSchema.safeParse(json);
  if (result.success) return result.data;
  throw invalid(
    source,
    result.error.issues.map((issue) => {
      const path =
        issue.code === 'unrecognized_keys' ? [...issue.path, ...issue.keys.slice(0, 1)] : issue.path;
      return `${place(path)}: ${z.core.toDotPath(path) || 'document'}: ${issue.message}`;
    }),
  );
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw invalid(file, [
      `${file}: cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    ]);
  }
}

// Aliases are expanded here. The parser's own limit stops a document that expands without bound.
function toJson(file: string, read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    throw invalid(file, [`${file}: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

function invalid(source: string, problems: string[]): DomainError {
  return new DomainError('catalog_invalid', problems.join('\n'), { source, problems });
}
