import { LongshoreError } from '@longshore/errors';
import { Ajv, type ErrorObject, type Options } from 'ajv';
import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify';

/** What is wrong with one field of a request. */
export interface FieldProblem {
  in: 'query' | 'path' | 'body' | 'header';
  /** Its name; below the body a JSON pointer without the first slash; empty: the whole. */
  field: string;
  detail: string;
}

/** A request that is not as its route's schema has it. */
export class InvalidRequest extends LongshoreError {
  readonly fields: readonly FieldProblem[];

  constructor(fields: readonly FieldProblem[]) {
    const [first] = fields;
    super('InvalidArgument', first ? describe(first) : 'request: not valid');
    this.fields = fields;
  }
}

const PLACES = { querystring: 'query', params: 'path', body: 'body', headers: 'header' } as const;

/** Refused is what a schema does not know; JSON's types are as they are, those of a query come from text. */
const BODY: Options = { useDefaults: true, removeAdditional: false, allowUnionTypes: true };
const TEXT: Options = { ...BODY, coerceTypes: 'array' };

/** Has requests be exactly what the schemas of their routes say. */
export function validateStrictly(app: FastifyInstance): void {
  const body = new Ajv(BODY);
  const text = new Ajv(TEXT);
  app.setValidatorCompiler(({ schema, httpPart }) => (httpPart === 'body' ? body : text).compile(schema));
  app.setSchemaErrorFormatter((errors, place) => {
    const where = PLACES[place as keyof typeof PLACES] ?? 'body';
    return new InvalidRequest(errors.map((error) => fieldProblem(where, error as unknown as ErrorObject)));
  });
  // Forms of other sites can send it without being asked.
  app.removeContentTypeParser('text/plain');
  // What changes of labels are.
  app.addContentTypeParser(
    'application/merge-patch+json',
    { parseAs: 'string' },
    app.getDefaultJsonParser('error', 'error'),
  );
}

/** A hook for new routes: what their schemas do not have is refused, a body of any kind too. */
export function closeSchema(route: RouteOptions): void {
  const { querystring, body, consumes, ...rest }: FastifySchema = route.schema ?? {};
  route.schema = {
    ...rest,
    ...(consumes && { consumes }),
    querystring: { type: 'object', properties: {}, ...(querystring as object), additionalProperties: false },
    ...(consumes ? {} : { body: body ?? { type: 'null' } }),
  };
}

function fieldProblem(where: FieldProblem['in'], error: ErrorObject): FieldProblem {
  const path = error.instancePath.slice(1);
  const below = (name: string) => (path === '' ? name : `${path}/${name}`);
  switch (error.keyword) {
    case 'additionalProperties':
      return { in: where, field: below(error.params.additionalProperty), detail: 'is not known' };
    case 'required':
      return { in: where, field: below(error.params.missingProperty), detail: 'is required' };
    case 'enum':
      return { in: where, field: path, detail: `must be one of ${error.params.allowedValues.join(', ')}` };
    default:
      return { in: where, field: path, detail: error.message ?? 'is not valid' };
  }
}

function describe({ in: where, field, detail }: FieldProblem): string {
  if (field === '') return `${where} ${detail}`;
  const noun = { query: 'query parameter', path: 'path parameter', body: 'field', header: 'header' }[where];
  return `${noun} ${JSON.stringify(field)} ${detail}`;
}
