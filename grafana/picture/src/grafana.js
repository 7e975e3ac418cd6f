// What Grafana itself sets up before it shows a panel: its registries, and the way from an answer to a frame.
import {
  applyFieldOverrides,
  createDataFrame,
  FieldConfigOptionsRegistry,
  FieldType,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { firstValueFrom } from 'rxjs';

standardTransformersRegistry.setInit(() =>
  Object.values(
    Object.fromEntries(Object.values(standardTransformers).map((one) => [one.id, one])) // some have two names
  ).map((transformation) => ({
    id: transformation.id,
    name: transformation.name,
    transformation,
    editor: () => null,
  }))
);

const OPTIONS = [
  'unit', 'decimals', 'min', 'max', 'displayName', 'thresholds', 'mappings', 'color', 'noValue', 'links',
];
const CUSTOM = [
  'cellOptions', 'width', 'axisPlacement', 'drawStyle', 'lineWidth', 'fillOpacity', 'showPoints', 'spanNulls', 'stacking',
  'scaleDistribution', 'thresholdsStyle',
];
const registry = new FieldConfigOptionsRegistry(() => [
  ...OPTIONS.map((path) => item(path, path, false)),
  ...CUSTOM.map((path) => item(`custom.${path}`, path, true)),
]);

function item(id, path, isCustom) {
  const same = (value) => value;
  return { id, path, isCustom, name: id, process: same, shouldApply: () => true, override: () => null, editor: () => null };
}

// The name of a series, as the data source makes it of a query's legend.
function nameOf(labels, legend) {
  if (legend && legend !== '__auto') {
    return legend.replace(/{{\s*(\w+)\s*}}/g, (_, label) => labels[label] ?? '');
  }
  return labels.__name__ ?? JSON.stringify(labels);
}

function rowsOf(answer, refId, several) {
  const series = answer.result;
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].filter((l) => l !== '__name__').sort();
  return createDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: series.map((one) => one.value[0] * 1000), config: {} },
      ...labels.map((label) => ({
        name: label, type: FieldType.string, values: series.map((one) => one.metric[label] ?? ''), config: {},
      })),
      {
        name: several ? `Value #${refId}` : 'Value',
        type: FieldType.number,
        values: series.map((one) => Number(one.value[1])),
        config: {},
      },
    ],
  });
}

// Points that are missing are gaps, as the data source fills them.
function seriesOf(answer, refId, legend, { from, to, step }) {
  return answer.result.map((one) => {
    const points = new Map((one.values ?? [one.value]).map(([at, value]) => [Math.round(at * 1000), Number(value)]));
    const times = one.values ? [] : [...points.keys()];
    if (one.values) {
      const first = one.values[0][0] * 1000;
      const start = first - Math.floor((first - from * 1000) / (step * 1000)) * step * 1000;
      for (let at = start; at <= to * 1000 + 1; at += step * 1000) {
        times.push(Math.round(at));
      }
    }
    return createDataFrame({
      refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: times, config: {} },
        {
          name: 'Value',
          type: FieldType.number,
          values: times.map((at) => (Number.isNaN(points.get(at)) ? null : points.get(at) ?? null)),
          labels: {},
          config: { displayNameFromDS: nameOf(one.metric, legend) },
        },
      ],
    });
  });
}

export async function framesOf(panel, live, theme) {
  const answers = live.answers[panel.id];
  const several = panel.targets.length > 1;
  let frames = panel.targets.flatMap((target) =>
    target.format === 'table'
      ? [rowsOf(answers[target.refId], target.refId, several)]
      : seriesOf(answers[target.refId], target.refId, target.legendFormat, live)
  );
  if (panel.transformations?.length) {
    frames = await firstValueFrom(transformDataFrame(panel.transformations, frames, { interpolate: (text) => text }));
  }
  return applyFieldOverrides({
    data: frames,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry,
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
}
