// Executes templates with the real text/template: JSON lines in, JSON lines out.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"text/template"
)

type question struct {
	Name  string
	Qtype uint16
}

type data struct {
	Zone     string
	Name     string
	Class    string
	Type     string
	Remote   string
	Match    []string
	Group    map[string]string
	Question question
	Var      map[string]any
}

func (data) Meta(name string) string { return "<" + name + ">" }

var sample = data{
	Zone: "example.org.", Name: "ip-10-0-0-1.example.org.", Class: "IN", Type: "A", Remote: "192.0.2.1",
	Match:    []string{"ip-10-0-0-1.example.org.", "10", "0", "0a"},
	Group:    map[string]string{"a": "10", "b": "ff", "word": "hé<llo", "empty": ""},
	Question: question{Name: "ip-10-0-0-1.example.org.", Qtype: 1},
	Var: map[string]any{
		"n": 7, "f": 1.5, "s": "text", "t": true, "none": nil, "l": []any{1, "b", nil, 2.5}, "empty": []any{},
		"m": map[string]any{"k": "v", "n": nil},
	},
}

type bounded struct{ bytes []byte }

func (b *bounded) Write(piece []byte) (int, error) {
	if len(b.bytes)+len(piece) > 65536 {
		return 0, errors.New("too much")
	}
	b.bytes = append(b.bytes, piece...)
	return len(piece), nil
}

type answer struct {
	Prints []byte `json:"prints"`
	Fails  string `json:"fails"`
	Error  string `json:"error"`
}

func run(text string) answer {
	parsed, err := template.New("main").Funcs(template.FuncMap{"parseInt": strconv.ParseUint}).Parse(text)
	if err != nil {
		return answer{Fails: "parsing", Error: err.Error()}
	}
	out := bounded{bytes: []byte{}}
	if err := parsed.Execute(&out, sample); err != nil {
		return answer{Fails: "execution", Error: err.Error()}
	}
	return answer{Prints: out.bytes}
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	for in.Scan() {
		var raw []byte
		if err := json.Unmarshal(in.Bytes(), &raw); err != nil {
			panic(err)
		}
		line, err := json.Marshal(run(string(raw)))
		if err != nil {
			panic(err)
		}
		out.Write(append(line, '\n'))
		out.Flush()
	}
}
