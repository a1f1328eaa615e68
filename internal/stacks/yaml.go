package stacks

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// This reads YAML as far as Compose files use it, to find what is in which line: a library for all of YAML would be 0.4 MB
// of the program. What it does not know, such as ? before a key, is an error, and then no line is told. Docker has the last
// word on every file.

// kind is what a node is.
type kind int

const (
	scalar kind = iota
	mapping
	list
	alias
)

// node is a part of a YAML document.
type node struct {
	kind  kind
	text  string  // of a scalar
	plain bool    // the scalar is without quotes, and no block of text
	line  int     // counted from 1
	parts []*node // of a list; of a mapping keys and values in turn
	means *node   // what an alias stands for
}

// isNull reports whether there is nothing in a node.
func (n *node) isNull() bool {
	return n.kind == scalar && n.plain && (n.text == "" || n.text == "~" || strings.EqualFold(n.text, "null"))
}

// special is what YAML takes for something else than text, by either of its versions.
var special = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null|~|)$|^0[xo][0-9a-fA-F]+$|` +
	`^[-+]?[0-9][0-9_]*(\.[0-9]*)?([eE][-+]?[0-9]+)?$|^[-+]?[0-9]*\.[0-9]+$`)

// isText reports whether a node is text for YAML.
func (n *node) isText() bool { return n.kind == scalar && (!n.plain || !special.MatchString(n.text)) }

var errYAML = errors.New("this is no YAML, or none that is understood")

const deepest = 100 // nodes in nodes

// reader reads one text.
type reader struct {
	text    string
	pos     int
	line    int // counted from 1
	start   int // where this line begins
	deep    int
	anchors map[string]*node
}

// parse reads the first document of a text, and tells in which line something begins that is not in it, 0 without any. There
// is no node in a text without one.
func parse(text []byte) (root *node, next int, err error) {
	s, ok := decoded(text)
	if !ok {
		return nil, 0, errYAML
	}
	r := &reader{text: s, line: 1, anchors: map[string]*node{}}
	defer func() {
		if failed := recover(); failed != nil {
			if failed != errYAML {
				panic(failed)
			}
			root, next, err = nil, 0, errYAML
		}
	}()
	r.skip()
	for r.column() == 0 && r.at("%") {
		r.toEnd()
		r.skip()
	}
	if r.marker("---") {
		r.advance(3)
	}
	r.skip()
	if r.marker("...") {
		r.fail()
	}
	if r.over() {
		return nil, 0, nil
	}
	if r.marker("---") {
		return nil, r.line, nil
	}
	column := r.column()
	root = r.block(0)
	r.skip()
	switch {
	case r.marker("..."):
		r.advance(3)
		r.skip()
	case !r.over() && r.column() >= column && !r.marker("---"):
		r.fail()
	}
	if !r.over() {
		next = r.line
	}
	return root, next, nil
}

// decoded is a text in UTF-8, with \n at the ends of its lines.
func decoded(text []byte) (s string, ok bool) {
	s = string(text)
	switch {
	case strings.HasPrefix(s, "\xff\xfe"), strings.HasPrefix(s, "\xfe\xff"):
		var units []uint16
		for i := 2; i+1 < len(s); i += 2 {
			low, high := s[i], s[i+1]
			if s[0] == '\xfe' {
				low, high = high, low
			}
			units = append(units, uint16(high)<<8|uint16(low))
		}
		s = string(utf16.Decode(units))
	case !utf8.ValidString(s):
		return "", false
	}
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(s, "\ufeff"))
	control := func(c rune) bool { return c < ' ' && c != '\n' && c != '\t' || c == 0x7f }
	return s, !strings.ContainsFunc(s, control)
}

// fail ends the reading.
func (r *reader) fail() { panic(errYAML) }

func (r *reader) over() bool { return r.pos >= len(r.text) }

func (r *reader) column() int { return r.pos - r.start }

// at reports whether what comes next begins with s.
func (r *reader) at(s string) bool { return strings.HasPrefix(r.text[r.pos:], s) }

// ends reports whether i bytes further on is a blank, or the end of the line.
func (r *reader) ends(i int) bool {
	return r.pos+i >= len(r.text) || strings.IndexByte(" \t\n", r.text[r.pos+i]) >= 0
}

// mark reports whether c stands here as a sign: with nothing, or a blank, behind it.
func (r *reader) mark(c string) bool { return r.at(c) && r.ends(len(c)) }

// marker is --- or ... at the beginning of a line.
func (r *reader) marker(s string) bool { return r.column() == 0 && r.mark(s) }

// between is between documents.
func (r *reader) between() bool { return r.marker("---") || r.marker("...") }

func (r *reader) advance(n int) {
	for ; n > 0 && !r.over(); n-- {
		r.pos++
		if r.text[r.pos-1] == '\n' {
			r.line++
			r.start = r.pos
		}
	}
}

// toEnd goes to the end of the line.
func (r *reader) toEnd() { r.advance(len(r.rest())) }

// rest is the rest of the line.
func (r *reader) rest() string {
	line, _, _ := strings.Cut(r.text[r.pos:], "\n")
	return line
}

// blanks goes over blanks in this line, and a comment behind them. It reports whether the line is at its end.
func (r *reader) blanks() bool {
	before := r.pos
	for !r.over() && (r.text[r.pos] == ' ' || r.text[r.pos] == '\t') {
		r.pos++
	}
	if r.at("#") && (r.pos > before || r.column() == 0 || r.text[r.pos-1] == '\n') {
		r.toEnd()
	}
	return r.over() || r.text[r.pos] == '\n'
}

// skip goes to what comes next, in this line or another. A line must not be indented with a tab.
func (r *reader) skip() {
	for {
		line := r.line
		first := r.column() == 0
		from := r.pos
		if !r.blanks() {
			if first && line == r.line && strings.Contains(r.text[from:r.pos], "\t") {
				r.fail()
			}
			return
		}
		if r.over() {
			return
		}
		r.advance(1)
	}
}

// block reads a node that begins at column least or further to the right; there may be none.
func (r *reader) block(least int) *node {
	if r.deep++; r.deep > deepest {
		r.fail()
	}
	defer func() { r.deep-- }()
	r.skip()
	none := &node{plain: true, line: r.line}
	if r.over() || r.column() < least || r.between() {
		return none
	}
	column := r.column()
	if r.mark("-") {
		return r.blockList(column)
	}
	if r.isKey() {
		return r.blockMapping(column)
	}
	return r.inline(least, least)
}

// inline reads a node that begins in this line and is no mapping or list of several lines without brackets, except below an
// anchor or a tag, at column below or further to the right.
func (r *reader) inline(least, below int) *node {
	line := r.line
	name, props := r.properties()
	if props && r.blanks() {
		r.skip()
		if (r.at("&") || r.at("!")) && !r.isKey() { // two of one node
			r.fail()
		}
		n := r.block(below)
		n.line = line
		if name != "" {
			r.anchors[name] = n
		}
		return n
	}
	n := r.leaf(least, false)
	if name != "" {
		r.anchors[name] = n
	}
	if !r.blanks() {
		r.fail()
	}
	return n
}

// properties goes over an anchor and a tag.
func (r *reader) properties() (anchor string, there bool) {
	tagged := false
	for r.at("&") || r.at("!") {
		word := r.word()
		if word[0] == '!' && tagged || word[0] == '&' && anchor != "" {
			r.fail()
		}
		if word[0] == '&' {
			anchor = word[1:]
		} else {
			tagged = true
		}
		there = true
		for !r.over() && (r.text[r.pos] == ' ' || r.text[r.pos] == '\t') {
			r.pos++
		}
	}
	return anchor, there
}

var (
	anchorForm = regexp.MustCompile(`^[&*][0-9A-Za-z_-]+`)
	tagForm    = regexp.MustCompile(`^![0-9A-Za-z_.:/!-]*`)
)

// word is an anchor, an alias or a tag, with nothing but a blank or the end of what is in brackets behind it.
func (r *reader) word() string {
	form := anchorForm
	if r.at("!") {
		form = tagForm
	}
	word := form.FindString(r.rest())
	if word == "" {
		r.fail()
	}
	r.pos += len(word)
	if !r.ends(0) && (form == tagForm || strings.IndexByte(",]}", r.text[r.pos]) < 0) {
		r.fail()
	}
	return word
}

// isKey reports whether a key stands here: something of one line, and a colon.
func (r *reader) isKey() (is bool) {
	before := *r
	defer func() {
		if failed := recover(); failed != nil && failed != errYAML {
			panic(failed)
		}
		anchors := r.anchors
		*r = before
		r.anchors = anchors
	}()
	if r.mark("?") {
		r.fail()
	}
	r.key()
	return r.line == before.line && r.mark(":")
}

// key reads one, and the blanks behind it.
func (r *reader) key() *node {
	name, _ := r.properties()
	line := r.line
	var n *node
	if strings.IndexByte(`"'[{*`, r.peek()) >= 0 {
		n = r.leaf(0, true)
	} else {
		n = &node{text: r.plainLine(false), plain: true, line: line}
	}
	if name != "" {
		r.anchors[name] = n
	}
	for !r.over() && (r.text[r.pos] == ' ' || r.text[r.pos] == '\t') {
		r.pos++
	}
	return n
}

func (r *reader) peek() byte {
	if r.over() {
		return '\n'
	}
	return r.text[r.pos]
}

func (r *reader) blockList(column int) *node {
	n := &node{kind: list, line: r.line}
	for !r.over() && r.column() == column && r.mark("-") && !r.between() {
		r.advance(1)
		n.parts = append(n.parts, r.block(column+1))
		r.skip()
	}
	if !r.over() && r.column() > column && !r.between() {
		r.fail()
	}
	return n
}

func (r *reader) blockMapping(column int) *node {
	n := &node{kind: mapping, line: r.line}
	for !r.over() && r.column() == column && !r.between() {
		if r.mark("-") || !r.isKey() {
			r.fail()
		}
		key := r.key()
		r.advance(1)
		n.parts = append(n.parts, key, r.value(column))
		r.skip()
	}
	if !r.over() && r.column() > column && !r.between() {
		r.fail()
	}
	return n
}

// value reads what belongs to a key at that column.
func (r *reader) value(column int) *node {
	line := r.line
	if !r.blanks() {
		if r.mark("-") || r.mark("?") {
			r.fail()
		}
		below := column + 1
		if r.listBelow(column) {
			below = column
		}
		return r.inline(column+1, below)
	}
	r.skip()
	switch {
	case r.over() || r.between():
	case r.column() > column:
		return r.block(column + 1)
	case r.column() == column && r.mark("-"):
		return r.blockList(column)
	}
	return &node{plain: true, line: line}
}

// listBelow reports whether only an anchor or a tag stands in this line, and a list that is not indented below it.
func (r *reader) listBelow(column int) bool {
	before := *r
	defer func() { *r = before }()
	if _, there := r.properties(); !there || !r.blanks() {
		return false
	}
	r.skip()
	return !r.over() && r.column() == column && r.mark("-") && !r.between()
}

// leaf reads a scalar, an alias, or something in brackets. Its further lines begin at column least.
func (r *reader) leaf(least int, flow bool) *node {
	line := r.line
	switch c := r.peek(); c {
	case '*':
		name := r.word()[1:]
		n := r.anchors[name]
		if n == nil {
			r.fail()
		}
		return &node{kind: alias, means: n, line: line}
	case '[':
		return r.flowList(least)
	case '{':
		return r.flowMapping(least)
	case '"', '\'':
		return &node{text: r.quoted(c, least), line: line}
	case '|', '>':
		if flow {
			r.fail()
		}
		return &node{text: r.blockText(least), line: line}
	}
	text := r.plainLine(flow)
	for !r.over() && !r.at("#") {
		before := *r
		breaks := 0
		for r.blankRest() {
			r.toEnd()
			if r.over() {
				break
			}
			r.advance(1)
			breaks++
		}
		for !r.over() && (r.text[r.pos] == ' ' || r.text[r.pos] == '\t') {
			r.pos++
		}
		ended := r.over() || r.column() < least || r.between() || r.at("#")
		if breaks == 0 || ended || flow && strings.IndexByte(",[]{}", r.peek()) >= 0 {
			*r = before
			break
		}
		if flow && r.at(":") {
			r.fail()
		}
		if tab := strings.IndexByte(r.text[r.start:r.pos], '\t'); !flow && tab >= 0 && tab < least {
			r.fail()
		}
		more := r.continued(flow)
		if breaks == 1 {
			text += " " + more
		} else {
			text += strings.Repeat("\n", breaks-1) + more
		}
		if !flow && r.mark(":") {
			r.fail()
		}
	}
	return &node{text: text, plain: true, line: line}
}

// blankRest reports whether the rest of the line is blank.
func (r *reader) blankRest() bool { return strings.Trim(r.rest(), " \t") == "" }

// plainLine is one line of a text without quotes.
func (r *reader) plainLine(flow bool) string {
	c := r.peek()
	sign := c == '-' || c == '?' || c == ':'
	if strings.IndexByte(",[]{}#&*!|>'\"%@`", c) >= 0 || sign && (r.ends(1) || flow && c != '-') {
		r.fail()
	}
	return r.continued(flow)
}

// continued is a line of a text without quotes, which may begin with any sign.
func (r *reader) continued(flow bool) string {
	from := r.pos
	for ; !r.over() && r.text[r.pos] != '\n'; r.pos++ {
		blank := r.pos > from && strings.IndexByte(" \t", r.text[r.pos-1]) >= 0
		if r.at("#") && blank || r.mark(":") || flow && strings.IndexByte(",[]{}", r.text[r.pos]) >= 0 {
			break
		}
	}
	text := strings.TrimRight(r.text[from:r.pos], " \t")
	r.pos = from + len(text)
	if strings.HasPrefix(r.text[r.pos:], "#") || text == "" && !flow {
		r.fail()
	}
	return text
}

// escapes are those of a text in double quotes.
var escapes = map[byte]string{
	'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r", 'e': "\x1b", ' ': " ", '"': `"`,
	'/': "/", '\\': `\`, 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029", '\'': "'",
}

// quoted is a text in quotes of kind q.
func (r *reader) quoted(q byte, least int) string {
	r.advance(1)
	var b strings.Builder
	for {
		if r.over() {
			r.fail()
		}
		switch c := r.text[r.pos]; {
		case c == q && q == '\'' && r.at("''"):
			b.WriteByte(q)
			r.pos += 2
		case c == q:
			r.pos++
			return b.String()
		case c == '\\' && q == '"':
			b.WriteString(r.escape(least))
		case c == '\n':
			text := strings.TrimRight(b.String(), " \t")
			if b.Len() > 0 && strings.HasSuffix(b.String(), "\x00") {
				text = b.String()
			}
			b.Reset()
			b.WriteString(text)
			b.WriteString(r.fold(least))
		default:
			b.WriteByte(c)
			r.pos++
		}
	}
}

// fold goes over the end of a line in quotes, and is what it means.
func (r *reader) fold(least int) string {
	breaks := 0
	for !r.over() && r.blankRest() {
		r.toEnd()
		if r.over() {
			r.fail()
		}
		r.advance(1)
		breaks++
		if r.between() {
			r.fail()
		}
	}
	for !r.over() && (r.text[r.pos] == ' ' || r.text[r.pos] == '\t') {
		r.pos++
	}
	if r.column() < least {
		r.fail()
	}
	if breaks == 1 {
		return " "
	}
	return strings.Repeat("\n", breaks-1)
}

func (r *reader) escape(least int) string {
	r.pos++
	if r.over() {
		r.fail()
	}
	c := r.text[r.pos]
	if digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]; digits > 0 {
		if r.pos+digits >= len(r.text) {
			r.fail()
		}
		n, err := strconv.ParseUint(r.text[r.pos+1:r.pos+1+digits], 16, 32)
		if err != nil || !utf8.ValidRune(rune(n)) {
			r.fail()
		}
		r.pos += 1 + digits
		return string(rune(n))
	}
	if c == '\n' { // the line goes on in the next one
		if more := r.fold(least); more != " " {
			return more
		}
		return ""
	}
	text, is := escapes[c]
	if !is {
		r.fail()
	}
	r.pos++
	return text
}

var blockHeader = regexp.MustCompile(`^[|>](?:([-+])([1-9])?|([1-9])([-+])?)?[ \t]*( #.*)?$`)

// blockText is a text behind | or >, whose lines begin at column least or further to the right. Lines of > are not joined:
// nobody asks for them.
func (r *reader) blockText(least int) string {
	m := blockHeader.FindStringSubmatch(r.rest())
	if m == nil {
		r.fail()
	}
	indent := 0
	if digit := m[2] + m[3]; digit != "" {
		indent = max(least-1, 0) + int(digit[0]-'0')
	}
	r.toEnd()
	r.advance(1)
	var lines []string
	for !r.over() {
		line := r.rest()
		text := strings.TrimLeft(line, " ")
		column := len(line) - len(text)
		if text != "" && indent == 0 {
			if column < least {
				break
			}
			indent = max(column, 1)
			if least == 0 && column == 0 {
				indent = 0
			}
		}
		if text != "" && (column < indent || column < least || r.between()) {
			break
		}
		lines = append(lines, line[min(indent, len(line)):])
		r.toEnd()
		r.advance(1)
	}
	r.back()
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// back goes to the end of the line before this one.
func (r *reader) back() {
	if r.column() > 0 || r.pos == 0 {
		return
	}
	r.pos--
	r.line--
	r.start = strings.LastIndexByte(r.text[:r.pos], '\n') + 1
}

// between brackets, lines and comments do not matter.
func (r *reader) flowSkip(least int) {
	for r.blanks() {
		if r.over() {
			r.fail()
		}
		r.advance(1)
		if r.between() {
			r.fail()
		}
	}
	if r.column() < least && r.peek() != ']' && r.peek() != '}' {
		r.fail()
	}
}

func (r *reader) enter() {
	if r.deep++; r.deep > deepest {
		r.fail()
	}
	r.advance(1)
}

func (r *reader) flowList(least int) *node {
	n := &node{kind: list, line: r.line}
	r.enter()
	defer func() { r.deep-- }()
	for r.flowSkip(least); !r.at("]"); r.flowSkip(least) {
		e := r.flowNode(least)
		r.flowSkip(least)
		if r.at(":") { // a mapping of one
			r.advance(1)
			r.flowSkip(least)
			pair := &node{kind: mapping, line: e.line}
			pair.parts = append(pair.parts, e, r.flowValue(least))
			e = pair
		}
		n.parts = append(n.parts, e)
		r.flowEnd(least, "]")
	}
	r.advance(1)
	return n
}

func (r *reader) flowMapping(least int) *node {
	n := &node{kind: mapping, line: r.line}
	r.enter()
	defer func() { r.deep-- }()
	for r.flowSkip(least); !r.at("}"); r.flowSkip(least) {
		key := r.flowNode(least)
		r.flowSkip(least)
		value := &node{plain: true, line: r.line}
		if r.at(":") {
			r.advance(1)
			r.flowSkip(least)
			value = r.flowValue(least)
		}
		n.parts = append(n.parts, key, value)
		r.flowEnd(least, "}")
	}
	r.advance(1)
	return n
}

// flowEnd goes over a comma; without one the bracket must come.
func (r *reader) flowEnd(least int, bracket string) {
	r.flowSkip(least)
	switch {
	case r.at(","):
		r.advance(1)
	case !r.at(bracket):
		r.fail()
	}
}

func (r *reader) flowValue(least int) *node {
	if c := r.peek(); c == ',' || c == ']' || c == '}' {
		return &node{plain: true, line: r.line}
	}
	return r.flowNode(least)
}

func (r *reader) flowNode(least int) *node {
	line := r.line
	name, props := r.properties()
	if props {
		r.flowSkip(least)
	}
	n := &node{plain: true, line: r.line}
	defer func() { n.line = line }()
	if c := r.peek(); !props || c != ',' && c != ']' && c != '}' && c != ':' {
		n = r.leaf(least, true)
	}
	if name != "" {
		r.anchors[name] = n
	}
	return n
}
