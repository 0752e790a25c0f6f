"""What LaTeX's commands look like on the page: symbols, accents, units; and which ones are no text at all."""

from __future__ import annotations

import re

GREEK = frozenset(
    ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
    "xi",
     "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"]
)  # fmt: skip
SYMBOLS = {
    "times": "×", "cdot": "·", "pm": "±", "mp": "∓", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠",
    "ne": "≠",
    "approx": "≈", "sim": "~", "simeq": "≃", "equiv": "≡", "infty": "∞", "rightarrow": "→", "to": "→",
    "leftarrow": "←",
    "Rightarrow": "⇒", "uparrow": "↑", "downarrow": "↓", "in": "∈", "sum": "∑", "prod": "∏", "int": "∫",
    "partial": "∂",
    "nabla": "∇", "ldots": "…", "dots": "…", "cdots": "…", "textellipsis": "…", "degree": "°", "S": "§",
    "dagger": "†", "ddagger": "‡", "ast": "*", "star": "*", "checkmark": "✓", "cmark": "✓", "xmark": "✗",
    "bullet": "•",
    "textasciitilde": "~", "textbackslash": "\\", "copyright": "©", "ell": "ℓ", "mid": "|", "vert": "|",
    "langle": "⟨",
    "rangle": "⟩", "quad": " ", "qquad": " ", "ss": "ß", "ae": "æ", "AE": "Æ", "o": "ø", "O": "Ø", "aa": "å",
    "l": "ł",
    "L": "Ł", "i": "ı", "textregistered": "®", "AA": "Å", "oe": "œ", "OE": "Œ", "j": "ȷ", "dh": "ð",
    "DH": "Ð", "th": "þ", "TH": "Þ",
    "dj": "đ", "P": "¶", "pounds": "£", "textsterling": "£", "euro": "€", "texteuro": "€",
    "EUR": "€", "textemdash": "—",
    "textendash": "–", "textquotedblleft": '"', "textquotedblright": '"', "textquotedbl": '"', "textquoteleft": "'",
    "textquoteright": "'", "guillemotleft": "«", "guillemotright": "»", "textunderscore": "_", "textbar": "|",
    "textless": "<", "textgreater": ">", "textdegree": "°", "textmu": "µ", "slash": "/", "gets": "←", 
    "textbullet": "•", "textpm": "±", "texttimes": "×", "hfill": " ", "hfil": " ", "enspace": " ", "thinspace": " ",
    "space": " ", "lq": "'", "rq": "'", "textdagger": "†", "textasteriskcentered": "*", "nobreakspace": " ",
    "textnumero": "№", "textpercent": "%", "lt": "<", "gt": ">", "linebreak": " ", "textdollar": "$",
    "And": ", ", "texttrademark": "™", "ll": "≪", "gg": "≫", "forall": "∀", "exists": "∃",
    "subset": "⊂", "subseteq": "⊆", "cup": "∪", "cap": "∩", "otimes": "⊗", "oplus": "⊕", "odot": "⊙", "circ": "∘",
    "prime": "′", "Vert": "‖", "lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "lfloor": "⌊", "rfloor": "⌋",
    "lceil": "⌈", "rceil": "⌉", "propto": "∝", "perp": "⊥", "top": "⊤", "wedge": "∧", "vee": "∨",
    "neg": "¬", "notin": "∉", "emptyset": "∅", "varnothing": "∅", "setminus": "∖", "mapsto": "↦", "ni": "∋",
    "leftrightarrow": "↔", "Leftrightarrow": "⇔", "iff": "⇔", "implies": "⇒", "longrightarrow": "⟶",
    "triangleq": "≜", "oint": "∮", "iint": "∬", "bigcup": "⋃", "bigcap": "⋂", "supset": "⊃", "supseteq": "⊇",
    "gtrsim": "≳", "lesssim": "≲", "cong": "≅", "vdots": "⋮", "ddots": "⋱", "div": "÷", "hbar": "ℏ", "lbrace": "{",
    "rbrace": "}", "lbrack": "[", "rbrack": "]", "colon": ":", "given": "|",
    "newline": " ", "par": "\n\n", "varepsilon": "ε", "vartheta": "ϑ", "varphi": "φ", "TeX": "TeX", "LaTeX": "LaTeX",
}  # fmt: skip
ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
            "c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "r": "\u030a", "k": "\u0328",
            "d": "\u0323", "b": "\u0331"}  # fmt: skip
# Marks over a letter of a formula; without them two symbols would read as one.
OVER = {
    "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303", "bar": "\u0304",
    "overline": "\u0305", "vec": "\u20d7", "dot": "\u0307", "ddot": "\u0308", "check": "\u030c", "breve": "\u0306",
    "mathring": "\u030a", "underline": "\u0332", "Hat": "\u0302", "Tilde": "\u0303", "Bar": "\u0304", "Vec": "\u20d7",
    "Dot": "\u0307", "Ddot": "\u0308", "Check": "\u030c", "Breve": "\u0306",
}  # fmt: skip
# A bracket after them is a delimiter of the formula, not an option.
DELIMITING = re.compile(
    r"^(left|right|middle|[bB]igg?[lrm]?|mathopen|mathclose|displaystyle|textstyle|limits|nolimits)$"
)
FUNCTIONS = frozenset(
    ["log", "exp", "sin", "cos", "tan", "tanh", "sinh", "cosh", "min", "max", "arg", "lim", "det", "sup", "inf", "ln",
     "argmax", "argmin", "Pr", "gcd", "dim", "ker", "deg", "limsup", "liminf", "mod", "bmod", "sgn", "softmax"]
)  # fmt: skip
# Commands whose arguments are no text of the paper: (number of arguments to drop).
DROP = {
    "label": 1, "vspace": 1, "hspace": 1, "includegraphics": 1, "setlength": 2, "addtolength": 2, "setcounter": 2,
    "addtocounter": 2, "thispagestyle": 1, "pagestyle": 1, "usepackage": 1, "bibliographystyle": 1, "bibliography": 1,
    "color": 1, "rule": 2, "hypersetup": 1, "captionsetup": 1, "renewcommand": 2, "newcommand": 2, "rotatebox": 1,
    "resizebox": 2, "scalebox": 1, "textcolor": 1, "colorbox": 1, "cellcolor": 1, "rowcolor": 1,
    "phantom": 1, "hphantom": 1, "vphantom": 1, "todo": 1, "begin": 1, "end": 1, "cline": 1, "cmidrule": 1,
    "arraystretch": 0, "ifx": 2, "ifdefined": 1, "newtheorem": 2, "parbox": 1, "rowcolors": 3,
    "arrayrulecolor": 1, "hhline": 1, "Xhline": 1,
    "multirowcell": 1, "newcounter": 1, "numberwithin": 2, "counterwithin": 2, "refstepcounter": 1, "captionof": 1,
    "providecommand": 2, "pgfplotsset": 1, "tikzset": 1, "bookmark": 1, "pdfbookmark": 2, "addcontentsline": 3,
    "vskip": 0, "hskip": 0, "date": 1, "keywords": 0, "enlargethispage": 1, "lstset": 1, "sisetup": 1,
    "columncolor": 1, "setlist": 1, "newlength": 1, "settowidth": 2, "newcolumntype": 2, "theoremstyle": 1,
    "DeclareUnicodeCharacter": 2, "restylefloat": 1, "floatstyle": 1, "allowdisplaybreaks": 0, "fontsize": 2,
    "definecolor": 3, "input": 1, "graphicspath": 1, "hyphenation": 1, "index": 1, "nocite": 1, "raisebox": 1,
    "pdfoutput": 0,
}  # fmt: skip
UNITS = {
    "percent": "%", "degree": "°", "kilo": "k", "mega": "M", "giga": "G", "milli": "m", "micro": "µ", "second": "s",
    "metre": "m", "meter": "m", "gram": "g", "byte": "B", "hour": "h", "minute": "min", "per": "/", "hertz": "Hz",
    "watt": "W", "degreeCelsius": "°C", "celsius": "°C", "flop": "FLOP",
    "squared": "²", "cubed": "³", "tera": "T", "peta": "P", "nano": "n", "centi": "c", "bit": "bit", "volt": "V",
    "joule": "J", "newton": "N", "kelvin": "K", "ampere": "A", "day": "d", "ms": "ms", "us": "µs",
    "ns": "ns", "kg": "kg",
    "km": "km", "cm": "cm", "mm": "mm", "um": "µm", "nm": "nm", "Hz": "Hz", "kHz": "kHz", "MHz": "MHz", "GHz": "GHz",
    "MB": "MB", "GB": "GB", "TB": "TB", "kWh": "kWh", "W": "W", "kW": "kW", "mW": "mW", "s": "s", "m": "m", "g": "g",
    "decibel": "dB", "dB": "dB", "pixel": "px", "hectare": "ha", "liter": "l", "litre": "l",
    "tonne": "t", "pascal": "Pa",
    "square": "²", "cubic": "³", "dollar": "$",
}  # fmt: skip
