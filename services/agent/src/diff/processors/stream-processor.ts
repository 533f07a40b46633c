import { failedPrecondition, unimplemented } from '@longshore/errors';
import { type LayerCompression, layerCompression, MediaType } from '@longshore/oci';

/**
 * A program that turns layers of one media type into another: it reads the one from its standard input and writes the
 * other to its standard output. Source: containerd services/server/config StreamProcessor.
 */
export interface StreamProcessor {
  /** Names it in errors, and the parameters that are meant for it. */
  id: string;
  /** Media types. */
  accepts: readonly string[];
  /** What comes out. */
  returns: string;
  /** Looked for on PATH, unless it has a slash. */
  path: string;
  args: readonly string[];
  /** `NAME=value`, over the agent's own environment. */
  env: readonly string[];
}

export interface ProcessorStep {
  processor: StreamProcessor;
  /** What it gets. */
  mediaType: string;
}

/** How a layer becomes an archive: by programs, one after the other, then by decompression. */
export interface LayerRoute {
  steps: readonly ProcessorStep[];
  compression: LayerCompression;
}

/** Each is a process and a copy of all bytes; more than a decryption and a decompression is a mistake. */
const MAX_STEPS = 8;

/**
 * The way for layers of a media type: processors go before what is known without them. Throws Unimplemented for a type
 * that nobody takes, FailedPrecondition for processors that lead to one another for ever.
 */
export function routeOf(mediaType: string, processors: readonly StreamProcessor[]): LayerRoute {
  const steps: ProcessorStep[] = [];
  for (let type = mediaType; ; ) {
    const processor = processors.find(({ accepts }) => accepts.includes(type));
    if (!processor) {
      const compression = layerCompression(type);
      if (compression === undefined) throw unimplemented(`no processor for media-type "${type}"`);
      return { steps, compression };
    }
    if (steps.length === MAX_STEPS)
      throw failedPrecondition(`stream processors for media-type "${mediaType}" never end`);
    steps.push({ processor, mediaType: type });
    type = processor.returns;
    if (type === MediaType.OciLayer) return { steps, compression: 'none' };
  }
}
