// SPDX-License-Identifier: MIT
// The page is whole without this: it only helps to find one's way.
'use strict';

const main = document.querySelector('main');
const books = [...document.querySelectorAll('.book')];
const tools = document.querySelector('.tools');
const search = document.querySelector('#search');
const shown = document.querySelector('#shown');
let onlyFailed = false;

const isFailed = (book) => book.matches('.failed, .error');

/** What a text is looked for in: the path, sources, reasons and messages. */
const textOf = (book) => {
  book.found ??= [...book.querySelectorAll('h3, .source, .reason, .note, .trouble, h5')]
    .map((part) => part.textContent.toLowerCase())
    .join('\n');
  return book.found;
};

const show = () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const book of books) {
    book.hidden =
      (onlyFailed && !isFailed(book)) || !words.every((word) => textOf(book).includes(word));
    count += book.hidden ? 0 : 1;
  }
  shown.value = `${count} of ${books.length}`;
};

const press = (buttons, pressed) => {
  for (const button of buttons) {
    button.setAttribute('aria-pressed', String(button === pressed));
  }
};

const order = {
  failures: (a, b) => a.dataset.place - b.dataset.place,
  name: (a, b) => (a.dataset.path < b.dataset.path ? -1 : 1),
  duration: (a, b) => b.dataset.seconds - a.dataset.seconds,
};

const openTarget = () => {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (!target) {
    return;
  }
  for (let at = target; at; at = at.parentElement) {
    if (at.localName === 'details') {
      at.open = true;
      at.hidden = false;
    }
  }
  target.scrollIntoView({ block: 'start' });
};

/** Lays the picture that came over the one that was expected. */
const compare = (pictures) => {
  const sources = ['expected', 'actual'].map((role) => pictures.querySelector(`img.${role}`));
  if (sources.includes(null)) {
    return;
  }
  const controls = document.createElement('div');
  const group = document.createElement('div');
  const slider = document.createElement('input');
  const said = document.createElement('output');
  const stage = document.createElement('div');
  const edge = document.createElement('span');
  const [below, above] = sources.map((image) => image.cloneNode());
  let timer = 0;
  controls.className = 'compare';
  group.className = 'group';
  group.setAttribute('role', 'group');
  group.setAttribute('aria-label', 'How to compare the pictures');
  stage.className = 'stage';
  edge.className = 'edge';
  slider.type = 'range';
  slider.value = '50';
  slider.setAttribute('aria-label', 'Share of the expected picture');
  stage.append(below, above, edge);
  const slide = () => {
    above.style.clipPath = `inset(0 0 0 ${slider.value}%)`;
    edge.style.left = `${slider.value}%`;
  };
  const modes = {
    'Side by side': () => {},
    Slide: slide,
    Blink: () => {
      const blink = () => {
        above.hidden = !above.hidden;
        said.value = above.hidden ? 'expected' : 'actual';
      };
      blink();
      timer = setInterval(blink, 700);
    },
  };
  const buttons = Object.keys(modes).map((name) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = name;
    button.addEventListener('click', () => {
      clearInterval(timer);
      press(buttons, button);
      above.hidden = false;
      above.style.clipPath = '';
      said.value = '';
      pictures.hidden = name !== 'Side by side';
      stage.hidden = !pictures.hidden;
      slider.hidden = edge.hidden = name !== 'Slide';
      modes[name]();
    });
    return button;
  });
  slider.addEventListener('input', slide);
  group.append(...buttons);
  controls.append(group, slider, said);
  pictures.before(controls);
  pictures.after(stage);
  buttons[0].click();
};

const all = document.querySelector('#all');
const failed = document.querySelector('#failed');
for (const button of [all, failed]) {
  button.addEventListener('click', () => {
    onlyFailed = button === failed;
    press([all, failed], button);
    show();
  });
}
search.addEventListener('input', show);
document.querySelector('#order').addEventListener('change', (event) => {
  main.append(...books.sort(order[event.target.value]));
});
const unfold = document.querySelector('#unfold');
unfold.addEventListener('click', () => {
  const open = unfold.getAttribute('aria-pressed') !== 'true';
  unfold.setAttribute('aria-pressed', String(open));
  for (const book of books) {
    book.open = open;
  }
});
document.querySelectorAll('.pictures').forEach(compare);
addEventListener('hashchange', openTarget);
addEventListener('beforeprint', () => {
  for (const book of books.filter(isFailed)) {
    book.open = true;
  }
});
tools.hidden = false;
show();
openTarget();
