// The page: the board's panels in its grid, as wide and high as Grafana has them.
import { createTheme, dateTime, ThemeContext } from '@grafana/data';
import { GlobalStyles, PanelChrome, PanelContextProvider } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import '@fontsource/inter/400.css';
import '@fontsource/inter/500.css';

import { framesOf } from './grafana.js';
import { KINDS } from './panels.jsx';

const COLUMNS = 24;
const ROW = 30;
const GAP = 8;
const WIDTH = 1904;
const HEAD = 44;

const live = window.LIVE;
const theme = createTheme({ colors: { mode: 'dark' } });
const range = {
  from: dateTime(live.from * 1000),
  to: dateTime(live.to * 1000),
  raw: { from: dateTime(live.from * 1000), to: dateTime(live.to * 1000) },
};

function placeOf({ x, y, w, h }) {
  const column = (WIDTH + GAP) / COLUMNS;
  return { left: x * column, top: y * (ROW + GAP), width: w * column - GAP, height: h * (ROW + GAP) - GAP };
}

function Panel({ panel, frames }) {
  const at = placeOf(panel.gridPos);
  const Kind = KINDS[panel.type];
  return (
    <div style={{ position: 'absolute', ...at }}>
      <PanelChrome title={panel.title} width={at.width} height={at.height} padding={panel.type === 'table' ? 'none' : 'md'}>
        {(width, height) => (
          <Kind panel={panel} frames={frames} theme={theme} width={width} height={height} range={range} />
        )}
      </PanelChrome>
    </div>
  );
}

function Head() {
  const minutes = Math.round((live.to - live.from) / 60);
  return (
    <div style={{ height: HEAD, display: 'flex', alignItems: 'center', justifyContent: 'space-between', fontSize: 15 }}>
      <span style={{ fontWeight: 500 }}>{live.board.title}</span>
      <span style={{ color: theme.colors.text.secondary, fontSize: 13 }}>
        Account: All &nbsp;·&nbsp; last {minutes} minutes
      </span>
    </div>
  );
}

const events = {
  getStream: () => ({ pipe: () => ({ subscribe: () => ({ unsubscribe() {} }) }), subscribe: () => ({ unsubscribe() {} }) }),
  publish() {},
  subscribe: () => ({ unsubscribe() {} }),
  removeAllListeners() {},
};

async function draw() {
  await Promise.all(['400', '500'].map((weight) => document.fonts.load(`${weight} 13px Inter`))); // texts are measured
  const drawn = await Promise.all(
    live.board.panels.map(async (panel) => ({ panel, frames: await framesOf(panel, live, theme) }))
  );
  createRoot(document.getElementById('board')).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={{ eventsScope: 'global', eventBus: events }}>
        <div style={{ padding: GAP, background: theme.colors.background.canvas }}>
          <Head />
          <div style={{ position: 'relative' }}>
            {drawn.map((one) => (
              <Panel key={one.panel.id} {...one} />
            ))}
          </div>
        </div>
      </PanelContextProvider>
    </ThemeContext.Provider>
  );
}

draw().catch((error) => {
  document.title = `failed: ${error.stack}`;
  document.body.textContent = error.stack;
});
