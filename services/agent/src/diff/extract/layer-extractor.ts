import { fchmodSync, ftruncateSync, writeSync } from 'node:fs';
import { LongshoreError } from '@longshore/errors';
import { close, futimens, type Timespec } from '@longshore/linux';
import type { LayerLimits } from '../layer-limits.ts';
import type { ByteString } from '../tar/byte-string.ts';
import type { TarEntry, TarSink } from '../tar/tar-entry.ts';
import { applyLowerAttributes, applyTimes, applyToName, applyToOpenFile, timesOf } from './attributes.ts';
import { cleanPath } from './clean-path.ts';
import {
  createDirectory,
  createFile,
  createHardLink,
  createSpecial,
  createSymlink,
  type Place,
} from './create-entry.ts';
import { entryError } from './entry-error.ts';
import { childPath, LayerRoot, type OpenDirectory } from './layer-root.ts';
import { LowerDirectories } from './lower-directories.ts';
import { type OpaqueXattr, OverlayWhiteouts } from './overlay-whiteouts.ts';
import { PlainWhiteouts } from './plain-whiteouts.ts';
import { parseWhiteout, type WhiteoutStore } from './whiteout.ts';

/** Where a layer goes, and how deletions are recorded there. */
export type ExtractionTarget =
  | { kind: 'overlay'; upper: string; lowers: readonly string[]; opaqueXattr: OpaqueXattr }
  | { kind: 'directory'; path: string };

/** Of a directory that neither the archive nor a lower directory has. Source: containerd pkg/archive/tar.go. */
const MISSING_PARENT_MODE = 0o755;

/**
 * Writes the members of one layer's archive into a directory, as OCI says (image-spec layer.md) and containerd does
 * (pkg/archive/tar.go). All calls are synchronous. After an error the directory holds part of the layer and is to be
 * thrown away. `close` is to be called in any case.
 */
export class LayerExtractor implements TarSink {
  private readonly root: LayerRoot;
  private readonly lowers: LowerDirectories;
  private readonly whiteouts: WhiteoutStore;
  private readonly limits: LayerLimits;
  private entries = 0;
  private directories = 0;
  private fileBytes = 0;
  private file: { fd: number; entry: TarEntry } | undefined;
  /** Directories that the archive does not have itself, nor any lower one, as far as those are known. */
  private readonly bare = new Set<ByteString>();
  /** Set at the end, since each file made in a directory changes its times. */
  private readonly directoryTimes = new Map<ByteString, { atime: Timespec; mtime: Timespec }>();

  constructor(target: ExtractionTarget, limits: LayerLimits) {
    this.limits = limits;
    const path = target.kind === 'overlay' ? target.upper : target.path;
    this.lowers = new LowerDirectories(target.kind === 'overlay' ? target.lowers : []);
    try {
      this.root = new LayerRoot(path, (created) => this.dressParent(created));
    } catch (error) {
      this.lowers.close();
      throw error;
    }
    this.whiteouts =
      target.kind === 'overlay' ? new OverlayWhiteouts(target.opaqueXattr) : new PlainWhiteouts(this.root);
  }

  entry(entry: TarEntry): void {
    try {
      this.root.trim();
      this.count(entry.type === 'directory', entry.sizeBytes);
      this.create(entry);
    } catch (error) {
      throw entryError(entry.name, error);
    }
  }

  data(bytes: Buffer, position: number): void {
    if (!this.file) return; // of a whiteout, which has no file
    const { fd, entry } = this.file;
    try {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(fd, bytes, done, bytes.length - done, position + done);
      }
    } catch (error) {
      throw entryError(entry.name, error);
    }
  }

  end(): void {
    if (!this.file) return;
    const { fd, entry } = this.file;
    try {
      if (entry.sparse) ftruncateSync(fd, entry.sizeBytes);
      applyToOpenFile(fd, entry);
      applyTimes(fd, entry);
    } catch (error) {
      throw entryError(entry.name, error);
    }
    this.file = undefined;
    close(fd);
  }

  /** Directories that were made for what is in them, in order; a parent that is not known yet may have them. */
  get bareParents(): ByteString[] {
    return [...this.bare];
  }

  /** To be called after the last member. */
  finish(): void {
    for (const [path, { atime, mtime }] of this.directoryTimes) {
      const fd = this.root.reopen(path);
      if (fd === undefined) continue; // a later entry took its place
      try {
        futimens(fd, atime, mtime);
      } finally {
        close(fd);
      }
    }
  }

  close(): void {
    if (this.file) close(this.file.fd);
    this.file = undefined;
    this.lowers.close();
    this.root.close();
  }

  private count(isDirectory: boolean, sizeBytes: number): void {
    const { maxEntries, maxDirectories, maxBytes } = this.limits;
    this.entries++;
    this.fileBytes += sizeBytes;
    if (isDirectory) this.directories++;
    if (this.entries > maxEntries) throw tooMuch(`layer has more than ${maxEntries} entries`);
    if (this.directories > maxDirectories) throw tooMuch(`layer has more than ${maxDirectories} directories`);
    if (this.fileBytes > maxBytes) throw tooMuch(`layer has files of more than ${maxBytes} bytes`);
  }

  private create(entry: TarEntry): void {
    const components = cleanPath(entry.name);
    const name = components.pop();
    if (name === undefined) return; // the root itself keeps what the snapshot gave it
    const directory = this.root.ensureDirectory(components);
    const whiteout = parseWhiteout(name);
    if (!whiteout) {
      this.createFileOfType({ root: this.root, directory, name }, entry);
      this.whiteouts.unpacked(directory, name);
    } else if (whiteout.kind === 'opaque') {
      this.whiteouts.makeOpaque(directory);
    } else {
      this.whiteouts.remove(directory, whiteout.name, entry);
    }
  }

  private createFileOfType(place: Place, entry: TarEntry): void {
    switch (entry.type) {
      case 'file':
        this.file = { fd: createFile(place), entry };
        break;
      case 'directory':
        this.createDirectory(place, entry);
        break;
      case 'hard-link':
        // It is the same file as its target, whose own entry said what its owner, mode and attributes are.
        createHardLink(place, entry);
        break;
      case 'symlink':
        createSymlink(place, entry);
        applyToName(place.directory.fd, place.name, entry);
        break;
      default:
        createSpecial(place, entry, entry.type);
        applyToName(place.directory.fd, place.name, entry);
    }
  }

  private createDirectory(place: Place, entry: TarEntry): void {
    const path = childPath(place.directory, place.name);
    const { fd, replacedWhiteout } = createDirectory(place);
    const directory = { fd, path };
    try {
      applyToOpenFile(fd, entry);
      this.whiteouts.replacedByDirectory(directory, replacedWhiteout);
    } catch (error) {
      close(fd);
      throw error;
    }
    this.bare.delete(path);
    this.directoryTimes.set(path, timesOf(entry));
    this.root.adopt(directory);
  }

  private dressParent({ fd, path }: OpenDirectory): void {
    this.count(true, 0);
    const attributes = this.lowers.find(path);
    if (!attributes) {
      fchmodSync(fd, MISSING_PARENT_MODE);
      this.bare.add(path);
      return;
    }
    applyLowerAttributes(fd, attributes);
    this.directoryTimes.set(path, { atime: attributes.status.atime, mtime: attributes.status.mtime });
  }
}

function tooMuch(problem: string): LongshoreError {
  return new LongshoreError('ResourceExhausted', problem);
}
