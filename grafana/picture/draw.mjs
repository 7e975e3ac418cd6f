// `node draw.mjs ANSWERS.json PICTURE.png`: bundle the page with the answers, and let Chromium draw it.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

const [answers, picture] = process.argv.slice(2);
const here = import.meta.dirname ?? new URL('.', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'faxline-picture-'));
const board = JSON.parse(readFileSync(answers, 'utf8')).board;
const rows = Math.max(...board.panels.map(({ gridPos }) => gridPos.y + gridPos.h));

await build({
  entryPoints: [join(here, 'src/picture.jsx')],
  outfile: join(folder, 'picture.js'),
  bundle: true,
  format: 'iife',
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.woff': 'dataurl', '.woff2': 'dataurl', '.svg': 'dataurl', '.ttf': 'empty' },
  logLevel: 'warning',
  alias: { 'react-custom-scrollbars-2': join(here, 'src/scrollbars.js') },
});
writeFileSync(
  join(folder, 'index.html'),
  `<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="picture.css">
<style>html,body{margin:0;background:#111217}</style><div id="board"></div>
<script>window.process={env:{}};window.LIVE=${readFileSync(answers, 'utf8').replaceAll('<', '\\u003c')}</script>
<script src="picture.js"></script>`
);
const browser = process.env.CHROMIUM ?? 'chromium';
const shot = join(folder, 'picture.png');
execFileSync(
  browser,
  [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--hide-scrollbars',
    '--allow-file-access-from-files',
    '--enable-logging=stderr',
    `--user-data-dir=${join(folder, 'profile')}`,
    `--window-size=1920,${rows * 38 + 44 + 8}`,
    '--virtual-time-budget=15000',
    `--screenshot=${shot}`,
    `file://${join(folder, 'index.html')}`,
  ],
  { stdio: ['ignore', 'ignore', process.env.DEBUG ? 'inherit' : 'ignore'] }
);
cpSync(shot, picture);
rmSync(folder, { recursive: true, force: true });
