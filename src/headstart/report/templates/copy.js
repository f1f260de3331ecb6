(function () {
  "use strict";

  /* Every table can be copied as Markdown or LaTeX, as it is shown: bars and hidden variants are left out. */

  var NUMBER = /^[<>\u2248]?\s*[-+\u2212\u00b1]?\s*[\d.]/;
  var DASH = "\u2013";
  var LATEX = {
    "\\": "\\textbackslash{}", "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_", "{": "\\{", "}": "\\}",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$",
    "\u2212": "$-$", "\u00b1": "$\\pm$", "\u00d7": "$\\times$", "\u2013": "--", "\u2014": "---", "\u202f": "\\,", "\u00a0": "~",
    "\u2191": "$\\uparrow$", "\u2193": "$\\downarrow$", "\u2192": "$\\rightarrow$", "\u2190": "$\\leftarrow$",
    "\u2265": "$\\geq$", "\u2264": "$\\leq$", "\u2248": "$\\approx$"
  };

  function latex(text) {
    return text.replace(/[\\&%$#_{}~^<>|\u2212\u00b1\u00d7\u2013\u2014\u202f\u00a0\u2190-\u2193\u2264\u2265\u2248]/g, function (mark) {
      return LATEX[mark] || mark;
    });
  }

  function markdown(text) {
    return text.replace(/[\\|*_`<]/g, "\\$&").replace(/[\u202f\u00a0]/g, " ");
  }

  function isHidden(element) {
    return element.getAttribute("aria-hidden") === "true" || element.matches("svg, .strip, .amount, .parts, .stack, .copy, button") ||
      getComputedStyle(element).display === "none";
  }

  /* The text of an element as it is shown; small notes and badges in parentheses. */
  function words(element) {
    var text = "", notes = [];
    element.childNodes.forEach(function (node) {
      if (node.nodeType === Node.TEXT_NODE) {
        text += node.data;
      } else if (node.nodeType === Node.ELEMENT_NODE && !isHidden(node)) {
        if (node.matches("br")) {
          text += " ";
        } else if (node.matches("small, .badge")) {
          notes.push(words(node));
        } else {
          text += (node.matches("data") ? " " : "") + words(node) + (node.matches("data") ? " " : "");
        }
      }
    });
    notes = notes.filter(Boolean);
    text = tidy(text);
    return notes.length ? tidy(text + " (" + notes.join("; ") + ")") : text;
  }

  function tidy(text) {
    return text.replace(/[ \t\n\r]+/g, " ").replace(/ ([,.;:)])/g, "$1").replace(/\( /g, "(").trim();
  }

  /* Rows of places; a cell over several places stands in the first of them, the others point at it. */
  function grid(table) {
    var places = [];
    Array.prototype.forEach.call(table.rows, function (row, y) {
      places[y] = places[y] || [];
      var x = 0;
      Array.prototype.forEach.call(row.cells, function (cell) {
        while (places[y][x]) { x += 1; }
        var text = words(cell);
        for (var down = 0; down < cell.rowSpan && y + down < table.rows.length; down += 1) {
          places[y + down] = places[y + down] || [];
          for (var along = 0; along < cell.colSpan; along += 1) {
            places[y + down][x + along] = { text: text, first: !down && !along, down: down, along: along, cell: cell };
          }
        }
        x += cell.colSpan;
      });
    });
    return places;
  }

  function section(table, y) {
    return table.rows[y].parentNode;
  }

  /* What both forms are made from: the rows of head and body without the columns that hold bars alone. */
  function contents(table) {
    var places = grid(table), head = [], body = [], width = 0;
    places.forEach(function (row) { width = Math.max(width, row.length); });
    places.forEach(function (row, y) {
      for (var x = 0; x < width; x += 1) { row[x] = row[x] || { text: "", first: true, down: 0, along: 0, cell: null }; }
      (section(table, y).tagName === "THEAD" ? head : body).push({ cells: row, part: section(table, y) });
    });
    var kept = [];
    for (var x = 0; x < width; x += 1) {
      if (isKept(body, x)) { kept.push(x); }
    }
    [head, body].forEach(function (rows) {
      rows.forEach(function (row) { row.cells = kept.map(function (x) { return row.cells[x]; }); });
    });
    return { head: head, body: body, right: kept.map(function (_, at) { return isNumeric(body, at); }), title: title(table) };
  }

  /* A column is left out where it holds bars alone; a cell over several columns belongs to the first that is kept. */
  function isKept(body, x) {
    var own = body.map(function (row) { return row.cells[x]; }).filter(function (place) { return !place.cell || place.cell.colSpan === 1; });
    if (!own.length) { return body.every(function (row) { return row.cells[x].along === 0; }); }
    return own.some(function (place) { return place.text !== ""; });
  }

  function isNumeric(rows, at) {
    var own = rows.map(function (row) { return row.cells[at]; }).filter(function (place) {
      return place.text && place.text !== DASH && place.first && (!place.cell || place.cell.colSpan === 1);
    });
    return own.length > 0 && own.every(function (place) { return NUMBER.test(place.text); });
  }

  function title(table) {
    var figure = table.closest("figure");
    var named = table.caption || (figure && figure.querySelector("figcaption"));
    return named ? words(named) : "";
  }

  /* One line of headings: what stands above a column, from top to bottom. */
  function headings(head, width) {
    var names = [];
    for (var x = 0; x < width; x += 1) {
      var above = head.map(function (row) { return row.cells[x]; }).filter(function (place) { return place.down === 0; });
      names.push(above.map(function (place) { return place.text; }).filter(Boolean).join(" "));
    }
    return names;
  }

  function asMarkdown(table) {
    var found = contents(table), width = found.right.length;
    function line(texts) { return "| " + texts.map(markdown).join(" | ") + " |"; }
    var lines = [line(headings(found.head, width))];
    lines.push("|" + found.right.map(function (right) { return right ? "---:" : "---"; }).join("|") + "|");
    found.body.forEach(function (row) {
      lines.push(line(row.cells.map(function (place, at) { return starts(row.cells, at) ? place.text : ""; })));
    });
    return (found.title ? markdown(found.title) + "\n\n" : "") + lines.join("\n") + "\n";
  }

  /* Whether a cell begins here: in the first row of it, and in the first column of it that was kept. */
  function starts(cells, at) {
    var before = at && cells[at - 1];
    return cells[at].down === 0 && !(before && before.cell && before.cell === cells[at].cell);
  }

  function latexLine(row, right) {
    var parts = [], cells = row.cells;
    for (var at = 0; at < cells.length; ) {
      var span = 1;
      while (at + span < cells.length && cells[at].cell && cells[at + span].cell === cells[at].cell) { span += 1; }
      var text = cells[at].down === 0 ? latex(cells[at].text) : "";
      parts.push(span > 1 ? "\\multicolumn{" + span + "}{" + (right[at] ? "c" : "l") + "}{" + text + "}" : text);
      at += span;
    }
    /* the end of the row above, and a rule, take a bracket or star that follows for their own */
    var line = parts.join(" & ");
    return (/^[\[*]/.test(line) ? "{}" : "") + line + " \\\\";
  }

  function asLatex(table) {
    var found = contents(table), part = null;
    var lines = ["% needs \\usepackage{booktabs}", "\\begin{table}", "\\centering"];
    if (found.title) { lines.push("\\caption{" + latex(found.title) + "}"); }
    lines.push("\\begin{tabular}{" + found.right.map(function (right) { return right ? "r" : "l"; }).join("") + "}", "\\toprule");
    found.head.forEach(function (row) { lines.push(latexLine(row, found.right)); });
    found.body.forEach(function (row) {
      if (row.part !== part) { lines.push("\\midrule"); }
      part = row.part;
      lines.push(latexLine(row, found.right));
    });
    return lines.concat("\\bottomrule", "\\end{tabular}", "\\end{table}", "").join("\n");
  }

  /* Pages opened from a file may have no clipboard: then a hidden field is selected and copied. */
  function put(text, done) {
    function byHand() {
      var field = document.createElement("textarea"), focused = document.activeElement;
      field.value = text;
      field.setAttribute("readonly", "");
      field.className = "copy-field";
      document.body.appendChild(field);
      field.select();
      var copied = false;
      try { copied = document.execCommand("copy"); } catch (error) { copied = false; }
      document.body.removeChild(field);
      if (focused && focused.focus) { focused.focus({ preventScroll: true }); }
      done(copied);
    }
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(function () { done(true); }, byHand);
    } else {
      byHand();
    }
  }

  function button(name, make, table, status) {
    var one = document.createElement("button");
    one.type = "button";
    one.textContent = name;
    one.setAttribute("aria-label", "Copy this table as " + name);
    one.addEventListener("click", function () {
      put(make(table), function (copied) {
        status.textContent = copied ? "copied" : "could not be copied";
        setTimeout(function () { status.textContent = ""; }, 2500);
      });
    });
    return one;
  }

  document.querySelectorAll("main table").forEach(function (table) {
    var row = document.createElement("div"), status = document.createElement("span");
    row.className = "copy";
    status.setAttribute("role", "status");
    row.append("Copy as ", button("Markdown", asMarkdown, table, status), " ", button("LaTeX", asLatex, table, status), " ", status);
    table.after(row);
  });
})();
