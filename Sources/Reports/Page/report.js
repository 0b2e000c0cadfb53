'use strict';
const run = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);
const colors = ['--c0', '--c1', '--c2', '--c3', '--c4', '--c5'].map(name => `var(${name})`);
const dashes = ['', '6 3', '2 2'];
const style = index => ({ color: colors[index % 6], dash: dashes[Math.floor(index / 6) % 3] });

function element(name, attributes = {}, ...children) {
  const isDrawing = ['svg', 'line', 'path', 'text', 'circle', 'rect'].includes(name);
  const made = isDrawing ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function number(value) {
  if (value === null) return 'not finite';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(2);
  if (size >= 100) return value.toFixed(1);
  return size < 0.1 ? value.toPrecision(3) : value.toFixed(4);
}

function list(id, facts, wrapped) {
  for (const { name, value } of facts) {
    const pair = [element('dt', {}, name), element('dd', {}, value)];
    $(id).append(...(wrapped ? [element('div', {}, ...pair)] : pair));
  }
}

// Axes

/** A tick's text, with the digits that ticks so far apart differ in. */
function tickText(value, step) {
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  if (value === 0 || (digits < 6 && Math.abs(value) < 1e6)) return value.toFixed(digits);
  return value.toExponential(Math.max(0, Math.floor(Math.log10(Math.abs(value))) - Math.floor(Math.log10(step) + 1e-9)));
}

/** Multiples of 1, 2 or 5 times a power of ten from `low` to `high`, about `count` of them. */
function linearTicks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= rough);
  const ticks = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high; index++) {
    ticks.push([index * step, tickText(index * step, step)]);
  }
  return ticks;
}

/** Powers of ten, with 2 and 5 between them where there is room. */
function logarithmicTicks(low, high, count) {
  for (const factors of [[1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (const factor of factors) {
        const tick = factor * 10 ** power;
        if (tick >= low && tick <= high) ticks.push([tick, String(Number(tick.toPrecision(3)))]);
      }
    }
    if (ticks.length <= count || factors.length === 1) return ticks;
  }
}

function axis(values, isLogarithmic, start, end, count) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (isLogarithmic) {
    const middle = Math.sqrt(low * high);
    [low, high] = [Math.min(low, middle / 1.75) / 1.05, Math.max(high, middle * 1.75) * 1.05];
    const span = Math.log(high / low);
    return { place: v => start + (end - start) * Math.log(v / low) / span, ticks: logarithmicTicks(low, high, count) };
  }
  const isSingle = !(high > low);
  // A value that stays what it is has one tick, which tells it.
  const single = [[low, String(Number(low.toPrecision(4)))]];
  const margin = isSingle ? Math.abs(low) * 0.1 || 0.5 : (high - low) * 0.04;
  [low, high] = [low - margin, high + margin];
  const ticks = isSingle ? single : linearTicks(low, high, count);
  return { place: v => start + (end - start) * (v - low) / (high - low), ticks };
}

/** Levels and marks that have a place on an axis. */
const placed = marks => marks.filter(mark => Number.isFinite(mark.value));

// Curves

const isShown = (chart, y) => y !== null && (!chart.isLogarithmic || y > 0);

/** The values that the axis spans: of many, all but the wildest hundredth where it is not logarithmic. */
function spanned(chart) {
  const values = chart.series.flatMap(series => series.y.flatMap((y, index) => {
    const error = series.errors[index] ?? 0;
    return isShown(chart, y) ? [y - error, y + error] : [];
  })).filter(y => isShown(chart, y)).sort((a, b) => a - b);
  const cut = values.length >= 200 && !chart.isLogarithmic ? Math.floor(values.length / 100) : 0;
  return values.slice(cut, values.length - cut).concat(placed(chart.levels).map(level => level.value));
}

function curve(points, { color, dash }) {
  let path = '';
  let isDown = false;
  for (const point of points) {
    if (point) path += `${isDown ? 'L' : 'M'}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    isDown = point !== null;
  }
  return element('path', { d: path, fill: 'none', stroke: color, 'stroke-width': 1.7, 'stroke-dasharray': dash });
}

function draw(chart, figure) {
  const width = Math.max(260, figure.clientWidth);
  const height = figure.classList.contains('first') ? Math.min(380, Math.max(240, width * 0.5)) : 200;
  const [left, right, top, bottom] = [52, width - 8, 8, height - 34];
  const svg = element('svg', { viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': chart.title });
  figure.querySelector('svg.plot')?.remove();
  svg.classList.add('plot');
  figure.insertBefore(svg, figure.querySelector('.legend'));
  const values = spanned(chart);
  const epochs = chart.series.flatMap(series => series.x);
  if (!values.length || !epochs.length) {
    const reason = epochs.length ? 'nothing that is finite' : 'nothing yet';
    svg.append(element('text', { x: width / 2, y: height / 2, 'text-anchor': 'middle' }, reason));
    return;
  }
  const x = axis(epochs, false, left, right, width / 80);
  const y = axis(values, chart.isLogarithmic, bottom, top, height / 45);
  for (const [value, label] of y.ticks) {
    svg.append(element('line', { class: 'grid', x1: left, x2: right, y1: y.place(value), y2: y.place(value) }));
    svg.append(element('text', { x: left - 6, y: y.place(value) + 4, 'text-anchor': 'end' }, label));
  }
  for (const [value] of x.ticks.filter(([value]) => Number.isInteger(value))) {
    svg.append(element('line', { class: 'grid', x1: x.place(value), x2: x.place(value), y1: top, y2: bottom }));
    svg.append(element('text', { x: x.place(value), y: bottom + 15, 'text-anchor': 'middle' }, String(value)));
  }
  svg.append(element('line', { class: 'axis', x1: left, x2: right, y1: bottom, y2: bottom }));
  svg.append(element('text', { x: right, y: height - 4, 'text-anchor': 'end' }, 'epoch'));
  let above = -Infinity;
  for (const level of placed(chart.levels).toSorted((a, b) => b.value - a.value)) {
    const place = y.place(level.value);
    const baseline = place - 4 - above < 12 ? place + 12 : place - 4;
    svg.append(element('line', { class: 'level', x1: left, x2: right, y1: place, y2: place }));
    svg.append(element('text', { class: 'name', x: right - 4, y: baseline, 'text-anchor': 'end' }, level.name));
    above = baseline;
  }
  chart.series.forEach((series, index) => {
    const clamp = place => Math.min(bottom, Math.max(top, place));
    const points = series.x.map((epoch, at) =>
      isShown(chart, series.y[at]) ? [x.place(epoch), clamp(y.place(series.y[at]))] : null);
    svg.append(curve(points, style(index)));
    points.forEach((point, at) => {
      if (!point) return;
      const error = series.errors[at];
      if (error) {
        const [y1, y2] = [-error, error].map(part => clamp(y.place(series.y[at] + part)));
        svg.append(element('line', { x1: point[0], x2: point[0], y1, y2, stroke: style(index).color }));
      }
      if (series.errors.length || series.x.length === 1) {
        svg.append(element('circle', { cx: point[0], cy: point[1], r: 3, fill: style(index).color }));
      }
    });
  });
  hover(chart, svg, x, [left, right, top, bottom], width);
}

/** A line at the nearest epoch under the pointer, and what all curves are there. */
function hover(chart, svg, x, [left, right, top, bottom], width) {
  const cursor = element('line', { class: 'cursor', y1: top, y2: bottom, visibility: 'hidden' });
  svg.append(cursor, element('rect', { x: left, y: top, width: right - left, height: bottom - top, fill: 'transparent' }));
  const epochs = [...new Set(chart.series.flatMap(series => series.x))];
  svg.addEventListener('pointermove', event => {
    const box = svg.getBoundingClientRect();
    const at = (event.clientX - box.left) * width / box.width;
    const distance = epoch => Math.abs(x.place(epoch) - at);
    const epoch = epochs.reduce((best, each) => distance(each) < distance(best) ? each : best);
    cursor.setAttribute('x1', x.place(epoch));
    cursor.setAttribute('x2', x.place(epoch));
    cursor.setAttribute('visibility', 'visible');
    const lines = chart.series.flatMap((series, index) => {
      const place = series.x.indexOf(epoch);
      if (place < 0) return [];
      const error = series.errors[place];
      const text = `${series.name} ${number(series.y[place])}${error ? ` ± ${number(error)}` : ''}`;
      return [element('div', { style: `color: ${style(index).color}` }, text)];
    });
    $('tip').replaceChildren(element('div', {}, `epoch ${epoch}`), ...lines);
    $('tip').hidden = false;
    const tip = $('tip').getBoundingClientRect();
    $('tip').style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.width - 8))}px`;
    $('tip').style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.height - 8))}px`;
  });
  svg.addEventListener('pointerleave', () => {
    cursor.setAttribute('visibility', 'hidden');
    $('tip').hidden = true;
  });
}

function legend(chart) {
  const names = element('div', { class: 'legend' });
  if (chart.series.length < 2) return names;
  chart.series.forEach((series, index) => {
    const { color, dash } = style(index);
    const line = element('line', { x1: 0, x2: 22, y1: 4, y2: 4, stroke: color, 'stroke-width': 2.4, 'stroke-dasharray': dash });
    names.append(element('span', {}, element('svg', { viewBox: '0 0 22 8' }, line), series.name));
  });
  return names;
}

function showCharts() {
  const figures = run.charts.map((chart, index) => {
    const figure = element('figure', index === 0 ? { class: 'first' } : {}, element('h3', {}, chart.title), legend(chart));
    $('charts').append(figure);
    return [chart, figure];
  });
  const redraw = () => figures.forEach(([chart, figure]) => draw(chart, figure));
  redraw();
  let width = innerWidth;
  addEventListener('resize', () => {
    if (innerWidth !== width) redraw();
    width = innerWidth;
  });
}

// Where the bound stands

/** A line for each mark, from the worst to the best, and down through all of them the place of the run's own. */
function showScale() {
  if (!run.scale.length) return $('standing').remove();
  const own = run.scale[run.scale.length - 1];
  const x = axis(placed(run.scale).map(mark => -mark.value), false, 0, 100, 5);
  const point = (name, mark) => element(name, { style: `left: ${x.place(-mark.value).toFixed(2)}%` });
  const worst = mark => mark.value ?? Infinity;
  for (const mark of run.scale.toSorted((a, b) => worst(b) - worst(a))) {
    const text = Math.abs(mark.value) < 1e6 ? mark.value.toFixed(2) : number(mark.value ?? null);
    $('scale').append(element('div', mark === own ? { class: 'own' } : {},
      element('span', {}, mark.name), element('span', { class: 'value' }, text),
      element('span', { class: 'track' }, ...placed([own]).map(own => point('i', own)),
        ...placed([mark]).map(mark => point('b', mark)))));
  }
}

// Figures through the epochs

function showFigures() {
  if (!run.figures.length) return $('pictures').remove();
  run.figures.forEach((figure, index) => $('figure').append(element('option', { value: index }, figure.name)));
  const show = () => {
    const figure = run.figures[$('figure').value];
    const place = Number($('epoch').value);
    $('picture').src = `data:image/png;base64,${figure.images[place]}`;
    $('picture').alt = `${figure.name} after epoch ${figure.epochs[place]}`;
    $('epoch-number').value = figure.epochs[place];
    $('omitted').textContent = figure.omitted
      ? `${figure.omitted} more epochs are in the run's folder figures/.` : '';
  };
  const choose = () => {
    const last = run.figures[$('figure').value].epochs.length - 1;
    $('epoch').max = last;
    $('epoch').value = last;
    $('epoch').disabled = last === 0;
    show();
  };
  $('figure').addEventListener('change', choose);
  $('epoch').addEventListener('input', show);
  choose();
}

// Tables

function showTiming() {
  const total = run.timing.filter(share => !share.isBeside).reduce((sum, share) => sum + share.seconds, 0);
  if (!(total > 0)) return;
  const table = element('table');
  const bar = element('div', { class: 'bar' });
  run.timing.forEach(({ name, seconds, isBeside }, index) => {
    const share = 100 * seconds / total;
    const color = isBeside ? 'transparent' : colors[index % 6];
    if (!isBeside) bar.append(element('div', { style: `width: ${share}%; background: ${color}`, title: name }));
    const key = element('span', { class: 'key', style: `background: ${color}` });
    table.append(element('tr', {}, element('td', {}, key, name),
      element('td', {}, `${seconds.toFixed(1)} s`), element('td', {}, isBeside ? 'beside' : `${share.toFixed(1)} %`)));
  });
  $('timing').append(bar, table);
}

function showRanks() {
  $('ranks').append(element('tr', {}, ...run.ranks.heads.map(head => element('th', {}, head))));
  for (const row of run.ranks.rows) $('ranks').append(element('tr', {}, ...row.map(cell => element('td', {}, cell))));
}

document.title = `${run.title} · dpm`;
$('title').textContent = run.title;
$('status').textContent = `${run.status} · written ${run.written}`;
list('headlines', run.headlines, true);
list('facts', run.facts, false);
$('configuration').textContent = run.configuration;
showScale();
showCharts();
showFigures();
showTiming();
showRanks();
