"use strict";
(function () {
  var holder = document.getElementById("attention-data");
  if (!holder) return;
  var data = JSON.parse(holder.textContent);
  var size = data.tokens.length, cells = size * size;
  var layers = data.layers.length, heads = data.heads;
  var special = data.tokens.map(function (token) { return token === "[CLS]" || token === "[SEP]"; });
  var state = { layer: layers - 1, head: heads > 1 ? -1 : 0, token: -1, held: -1 };
  var el = function (id) { return document.getElementById(id); };

  function bytes(text) {
    var raw = atob(text), values = new Float32Array(raw.length);
    for (var i = 0; i < raw.length; i++) {
      var root = raw.charCodeAt(i) / 255;
      values[i] = root * root;
    }
    return values;
  }
  var weights = bytes(data.weights), rollout = bytes(data.rollout);

  function map(layer, head) {
    if (layer < 0) return rollout;
    var first = layer * heads * cells;
    if (head >= 0) return weights.subarray(first + head * cells, first + (head + 1) * cells);
    var mean = new Float32Array(cells);
    for (var h = 0; h < heads; h++)
      for (var i = 0; i < cells; i++) mean[i] += weights[first + h * cells + i] / heads;
    return mean;
  }

  function hidden(row, column) {
    return el("specials").checked && (special[row] || special[column]);
  }

  function largest(values) {
    var most = 1e-9;
    for (var i = 0; i < cells; i++)
      if (!hidden(Math.floor(i / size), i % size)) most = Math.max(most, values[i]);
    return most;
  }

  function colours() {
    var style = getComputedStyle(document.documentElement);
    var paper = style.getPropertyValue("--paper").trim().slice(1);
    return {
      heat: style.getPropertyValue("--heat").trim().split(/\s+/).map(Number),
      paper: [0, 2, 4].map(function (at) { return parseInt(paper.slice(at, at + 2), 16); }),
      ink: style.getPropertyValue("--ink").trim(),
      soft: style.getPropertyValue("--soft").trim()
    };
  }

  function picture(values) {
    var small = document.createElement("canvas"), tint = colours(), most = largest(values);
    small.width = small.height = size;
    var context = small.getContext("2d"), image = context.createImageData(size, size);
    for (var i = 0; i < cells; i++) {
      var share = hidden(Math.floor(i / size), i % size) ? 0 : Math.min(1, values[i] / most);
      for (var c = 0; c < 3; c++)
        image.data[4 * i + c] = tint.paper[c] + share * (tint.heat[c] - tint.paper[c]);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return small;
  }

  var font = "12px system-ui, sans-serif", box = {};
  function drawHeat() {
    var canvas = el("heat"), context = canvas.getContext("2d"), tint = colours();
    var values = map(state.layer, state.head), labelled = size <= 64;
    var cell = Math.max(labelled ? 14 : 2, Math.min(24, Math.floor(420 / size)));
    context.font = font;
    var margin = 4;
    if (labelled)
      data.tokens.forEach(function (token) { margin = Math.max(margin, context.measureText(token).width + 8); });
    margin = Math.ceil(Math.min(margin, 120));
    var across = margin + cell * size, scale = window.devicePixelRatio || 1;
    box = { margin: margin, cell: cell, across: across };
    canvas.width = canvas.height = across * scale;
    canvas.style.width = across + "px";
    context.scale(scale, scale);
    context.imageSmoothingEnabled = false;
    context.drawImage(picture(values), margin, margin, cell * size, cell * size);
    context.strokeStyle = tint.soft;
    context.strokeRect(margin - .5, margin - .5, cell * size + 1, cell * size + 1);
    if (labelled) {
      context.font = font;
      context.fillStyle = tint.ink;
      context.textBaseline = "middle";
      data.tokens.forEach(function (token, at) {
        var middle = margin + (at + .5) * cell;
        context.textAlign = "right";
        context.fillText(token, margin - 5, middle, margin - 6);
        context.save();
        context.translate(middle, margin - 5);
        context.rotate(-Math.PI / 2);
        context.textAlign = "left";
        context.fillText(token, 0, 0, margin - 6);
        context.restore();
      });
    }
    if (state.token >= 0) {
      var from = el("direction").value === "from", at = margin + state.token * cell;
      context.strokeStyle = tint.ink;
      context.lineWidth = 1.5;
      context.strokeRect(from ? margin : at, from ? at : margin, from ? cell * size : cell, from ? cell : cell * size);
    }
    el("scale").textContent = "Rows look at columns; from 0 to " + percent(largest(values)) + ".";
  }

  function percent(value) { return (100 * value).toFixed(1) + " %"; }

  function shade() {
    var values = map(state.layer, state.head), from = el("direction").value === "from";
    var buttons = el("strip").children, row = [];
    for (var i = 0; i < size; i++)
      row.push(state.token < 0 || hidden(state.token, i) ? 0 : values[from ? state.token * size + i : i * size + state.token]);
    var most = Math.max.apply(null, row.concat(1e-9));
    row.forEach(function (value, i) {
      buttons[i].style.setProperty("--a", (value / most).toFixed(3));
      buttons[i].title = state.token < 0 ? "" : percent(value);
      buttons[i].classList.toggle("from", i === state.token);
    });
    if (state.token < 0) { el("said").textContent = ""; return; }
    var order = row.map(function (value, i) { return i; }).sort(function (a, b) { return row[b] - row[a]; });
    el("said").textContent = data.tokens[state.token] + (from ? " looks at " : " is looked at by ") +
      order.slice(0, 4).map(function (i) { return data.tokens[i] + " " + percent(row[i]); }).join(", ");
  }

  function point(token) { state.token = token < 0 ? state.held : token; shade(); drawHeat(); }

  function drawGrid() {
    var grid = el("grid");
    grid.textContent = "";
    grid.style.gridTemplateColumns = "2rem repeat(" + heads + ", " + (heads > 1 ? "minmax(16px, 34px)" : "64px") + ")";
    grid.appendChild(document.createElement("span"));
    for (var h = 0; h < heads; h++) label(grid, heads > 1 ? h + 1 : "mean");
    for (var l = 0; l < layers; l++) {
      label(grid, data.layers[l]);
      for (h = 0; h < heads; h++) thumbnail(grid, l, h);
    }
  }

  function label(grid, text) {
    var span = document.createElement("span");
    span.textContent = text;
    grid.appendChild(span);
  }

  function thumbnail(grid, l, h) {
    var canvas = picture(map(l, h));
    canvas.title = "layer " + data.layers[l] + (heads > 1 ? ", head " + (h + 1) : "");
    canvas.classList.toggle("chosen", l === state.layer && (h === state.head || heads === 1));
    canvas.addEventListener("click", function () {
      el("layer").value = state.layer = l;
      el("head").value = state.head = h;
      redraw();
    });
    grid.appendChild(canvas);
  }

  function redraw() {
    el("head").disabled = state.layer < 0 || heads === 1;
    drawGrid();
    point(state.token);
  }

  function option(select, value, text) {
    var one = document.createElement("option");
    one.value = value;
    one.textContent = text;
    select.appendChild(one);
  }

  data.layers.forEach(function (number, l) { option(el("layer"), l, number); });
  option(el("layer"), -1, "rollout");
  option(el("head"), heads > 1 ? -1 : 0, "mean");
  for (var h = 0; heads > 1 && h < heads; h++) option(el("head"), h, h + 1);
  el("layer").value = state.layer;
  el("head").value = state.head;
  el("layer").addEventListener("change", function () { state.layer = +el("layer").value; redraw(); });
  el("head").addEventListener("change", function () { state.head = +el("head").value; redraw(); });
  el("direction").addEventListener("change", function () { point(state.token); });
  el("specials").addEventListener("change", redraw);

  data.tokens.forEach(function (token, at) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = token;
    button.addEventListener("mouseenter", function () { point(at); });
    button.addEventListener("mouseleave", function () { point(-1); });
    button.addEventListener("focus", function () { point(at); });
    button.addEventListener("click", function () { state.held = state.held === at ? -1 : at; point(at); });
    el("strip").appendChild(button);
  });

  el("heat").addEventListener("mousemove", function (event) {
    var at = [event.offsetY, event.offsetX].map(function (offset) {
      return Math.floor((offset * box.across / el("heat").clientWidth - box.margin) / box.cell);
    });
    if (Math.min.apply(null, at) < 0 || Math.max.apply(null, at) >= size) { el("heat").title = ""; return; }
    el("heat").title = data.tokens[at[0]] + " looks at " + data.tokens[at[1]] + ": " +
      percent(map(state.layer, state.head)[at[0] * size + at[1]]);
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  el("attention").hidden = false;
  state.held = data.held;
  redraw();
})();
