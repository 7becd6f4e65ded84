/**
 * A picture of a model: its layers as boxes, one row for each distance from the inputs, and what flows between them. As SVG, or as text for
 * Graphviz, which lays out large models better.
 */
import { fail } from '../core/errors.ts';
import type { ModelStructure, StructureNode } from '../train/structure.ts';

export interface PlotModelOptions {
  /** `svg`, or `dot` for Graphviz. Default `svg`. */
  readonly format?: 'svg' | 'dot';
  /** Shapes of the outputs in the boxes. Default true. */
  readonly showShapes?: boolean;
}

const escapeXml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const shapeText = (node: StructureNode) =>
  node.shapes.map((shape) => `(${shape.map((d) => (d === null ? '?' : d)).join(', ')})`).join(' ');

function linesOf(node: StructureNode, showShapes: boolean): string[] {
  const parameters = node.parameters
    ? [`${node.parameters.toLocaleString('en-US')} parameters${node.trainable ? '' : ', frozen'}`]
    : [];
  return [node.name, node.className, ...(showShapes ? [shapeText(node)] : []), ...parameters];
}

function asDot({ name, nodes, edges }: ModelStructure, showShapes: boolean): string {
  const escape = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return [
    `digraph "${escape(name)}" {`,
    '  node [shape=box, style=rounded, fontname="sans-serif"];',
    ...nodes.map((node, i) => `  n${i} [label="${linesOf(node, showShapes).map(escape).join('\\n')}"];`),
    ...edges.map(({ from, to, mask }) => `  n${from} -> n${to}${mask ? ' [style=dashed, label="mask"]' : ''};`),
    '}',
    '',
  ].join('\n');
}

interface Box {
  readonly node: StructureNode;
  readonly lines: readonly string[];
  readonly width: number;
  x: number;
  y: number;
}

const letter = 7.2;
const lineHeight = 17;
const padding = 10;
const gap = { across: 28, down: 44 };

/** Rows by the longest way from an input; in a row, boxes stand where what they come from stands. */
function layOut({ nodes, edges }: ModelStructure, showShapes: boolean) {
  const row: number[] = [];
  nodes.forEach((_node, i) => {
    row[i] = Math.max(0, ...edges.filter((e) => e.to === i).map((e) => row[e.from] + 1));
  });
  const boxes = nodes.map((node): Box => {
    const lines = linesOf(node, showShapes);
    return { node, lines, width: Math.max(...lines.map((line) => line.length)) * letter + 2 * padding, x: 0, y: 0 };
  });
  const rows = Array.from({ length: Math.max(...row) + 1 }, (_, k) => boxes.filter((_box, i) => row[i] === k));
  const sources = boxes.map((_box, i) => edges.filter((e) => e.to === i).map((e) => boxes[e.from]));
  const widthOf = (line: readonly Box[]) => line.reduce((w, box) => w + box.width, 0) + gap.across * (line.length - 1);
  const width = Math.max(...rows.map(widthOf)) + 2 * gap.across;
  let y = gap.across;
  for (const line of rows) {
    const centre = (box: Box) => {
      const from = sources[boxes.indexOf(box)];
      return from.length ? from.reduce((sum, s) => sum + s.x + s.width / 2, 0) / from.length : 0;
    };
    line.sort((a, b) => centre(a) - centre(b));
    let x = (width - widthOf(line)) / 2;
    for (const box of line) {
      box.x = x;
      box.y = y;
      x += box.width + gap.across;
    }
    y += Math.max(...line.map(heightOf)) + gap.down;
  }
  return { boxes, width, height: y - gap.down + gap.across };
}

const heightOf = (box: Box) => box.lines.length * lineHeight + 2 * padding;

function asSvg(structure: ModelStructure, showShapes: boolean): string {
  const { boxes, width, height } = layOut(structure, showShapes);
  const n = (v: number) => String(Math.round(v * 10) / 10);
  const paths = structure.edges.map(({ from, to, mask }) => {
    const [a, b] = [boxes[from], boxes[to]];
    const [x1, y1, x2, y2] = [a.x + a.width / 2, a.y + heightOf(a), b.x + b.width / 2, b.y];
    const bend = (y2 - y1) / 2;
    return `<path class="edge" d="M${n(x1)} ${n(y1)}C${n(x1)} ${n(y1 + bend)} ${n(x2)} ${n(y2 - bend)} ${n(x2)} ${n(y2)}"${mask ? ' stroke-dasharray="4 3"' : ''} fill="none" stroke="#667" marker-end="url(#arrow)"/>`;
  });
  const drawn = boxes.map((box) => {
    const texts = box.lines.map(
      (line, k) =>
        `<text x="${n(box.x + box.width / 2)}" y="${n(box.y + padding + (k + 0.75) * lineHeight)}" text-anchor="middle"${k === 0 ? ' font-weight="bold"' : ' fill="#445"'}>${escapeXml(line)}</text>`,
    );
    const fill = box.node.className === 'InputLayer' ? '#e8f1fb' : box.node.parameters ? '#eef7ea' : '#f5f5f7';
    return `<rect x="${n(box.x)}" y="${n(box.y)}" width="${n(box.width)}" height="${n(heightOf(box))}" rx="6" fill="${fill}" stroke="#99a"/>${texts.join('')}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${n(width)}" height="${n(height)}" viewBox="0 0 ${n(width)} ${n(height)}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12" role="img">`,
    `<title>${escapeXml(structure.name)}</title>`,
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#667"/></marker></defs>',
    '<rect width="100%" height="100%" fill="white"/>',
    ...paths,
    ...drawn,
    '</svg>',
    '',
  ].join('\n');
}

/**
 * A picture of a model, as the text of a file.
 *
 * Errors: STATE for a model whose shapes are not known yet, ARGUMENT for a format that is not there.
 *
 * @example await writeFile('model.svg', plotModel(model));
 */
export function plotModel(
  model: { structure(): ModelStructure },
  { format = 'svg', showShapes = true, ...rest }: PlotModelOptions = {},
): string {
  const [unknown] = Object.keys(rest);
  if (unknown) fail('ARGUMENT', 'plotModel', 'options among format, showShapes', `'${unknown}'`);
  if (format !== 'svg' && format !== 'dot') fail('ARGUMENT', 'plotModel: format', "'svg' or 'dot'", `'${format}'`);
  return (format === 'svg' ? asSvg : asDot)(model.structure(), showShapes);
}
