// The kinds of panels that the overview has, each by Grafana's own component.
import { getDisplayProcessor, getFieldDisplayValues } from '@grafana/data';
import {
  BarGauge, BigValue, BigValueColorMode, BigValueGraphMode, Table, TimeSeries, VizRepeater,
} from '@grafana/ui';

const plain = (text) => text;

function valuesOf({ panel, frames, theme, sparkline }) {
  return getFieldDisplayValues({
    fieldConfig: panel.fieldConfig,
    reduceOptions: { values: false, calcs: ['lastNotNull'], fields: '', ...panel.options.reduceOptions },
    replaceVariables: plain,
    theme,
    data: frames,
    sparkline,
    timeZone: 'utc',
  });
}

function Stat({ panel, frames, theme, width, height }) {
  const area = panel.options.graphMode === BigValueGraphMode.Area;
  const values = valuesOf({ panel, frames, theme, sparkline: area });
  return (
    <VizRepeater
      getValues={() => values}
      renderValue={({ value, width, height, count }) => (
        <BigValue
          value={value.display}
          sparkline={area ? value.sparkline : undefined}
          count={count}
          colorMode={panel.options.colorMode ?? BigValueColorMode.Value}
          graphMode={panel.options.graphMode}
          justifyMode={panel.options.justifyMode}
          textMode={panel.options.textMode}
          wideLayout={panel.options.wideLayout}
          width={width}
          height={height}
          theme={theme}
        />
      )}
      width={width}
      height={height}
      source={frames}
      itemSpacing={3}
      renderCounter={1}
      autoGrid
      orientation={panel.options.orientation}
    />
  );
}

function Bars({ panel, frames, theme, width, height }) {
  const values = valuesOf({ panel, frames, theme });
  return (
    <VizRepeater
      getValues={() => values}
      renderValue={({ value, width, height }) => (
        <BarGauge
          value={value.display}
          width={width}
          height={height}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex) ?? getDisplayProcessor({ field: value.field, theme })}
          text={panel.options.text}
          theme={theme}
          orientation={panel.options.orientation}
          displayMode={panel.options.displayMode}
          valueDisplayMode={panel.options.valueMode}
          namePlacement={panel.options.namePlacement}
          showUnfilled={panel.options.showUnfilled}
          itemSpacing={4}
          lcdCellWidth={12}
          alignmentFactors={longest(values)}
        />
      )}
      width={width}
      height={height}
      source={frames}
      itemSpacing={4}
      minVizHeight={8}
      renderCounter={1}
      orientation={panel.options.orientation}
    />
  );
}

function longest(values) {
  const of = (text) => values.map((one) => text(one.display) ?? '').reduce((a, b) => (b.length > a.length ? b : a), '');
  return { title: of((one) => one.title), text: of((one) => one.text), suffix: of((one) => one.suffix) };
}

function Lines({ panel, frames, width, height, range }) {
  return (
    <TimeSeries
      frames={frames}
      structureRev={1}
      timeRange={range}
      timeZone="utc"
      width={width}
      height={height}
      legend={panel.options.legend}
      options={panel.options}
    />
  );
}

function Rows({ frames, panel, width, height }) {
  const [frame] = frames;
  return frame?.length ? (
    <Table data={frame} width={width} height={height} columnMinWidth={60} cellHeight={panel.options.cellHeight} />
  ) : (
    <div style={{ padding: 16 }}>{panel.fieldConfig.defaults.noValue}</div>
  );
}

export const KINDS = { stat: Stat, bargauge: Bars, timeseries: Lines, table: Rows };
