#!/usr/bin/env node
/** `node dist/faces.js --help` */
import { openDataset } from './faces/dataset.js';
import { inspectDataset } from './faces/inspection.js';
import { writeInspection } from './report/inspection-pictures.js';
import { inspectionTable } from './report/inspection-table.js';
import { runCommand } from './run/command.js';
import { datasetOptions, parseInspectOptions } from './run/options.js';
import { ProgressLine, showReading } from './run/progress.js';

await runCommand(async (args) => {
  const { data, json, out, ...options } = parseInspectOptions(args);
  const line = new ProgressLine();
  const dataset = await openDataset(data, datasetOptions(options, showReading(line)));
  line.end();
  const inspection = inspectDataset(dataset);
  const folder = out ?? `runs/inspect-${dataset.name}`;
  const pictures = await writeInspection(folder, dataset, inspection);
  process.stdout.write(json ? `${JSON.stringify({ ...inspection, pictures })}\n` : inspectionTable(inspection, folder, pictures));
});
