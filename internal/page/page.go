// Package page is the page that every board serves to browsers on its network: the picture of the cluster, as it
// changes, and the same in numbers for Prometheus. It can only be looked at. It draws pictures only while somebody
// looks.
package page

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"

	"github.com/pi-agent/pi-agent/internal/picture"
)

// Bounds of what browsers may take of a small board.
const (
	conns     = 128              // connections; more wait
	streams   = 64               // pages that are kept up to date; a class, and the teacher
	headerMax = 8 << 10          // bytes
	patience  = 10 * time.Second // for a request to come, and for what is written to be taken
	idleMax   = 30 * time.Second // between two requests of one connection
)

// Server serves the page.
type Server struct {
	Addr    string                                // to listen on, such as ":7380"
	Picture func(context.Context) picture.Picture // what is shown; it is not changed
	Names   func() []string                       // names of this board, with a domain or without
	Log     *zap.Logger

	mu    sync.Mutex // guards the frame
	frame frame
	slots chan struct{} // one element for each stream
	end   <-chan struct{}
}

// Run serves until ctx ends and then returns nil; an error means that it could not listen.
func (s *Server) Run(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("listen for browsers: %w", err)
	}
	return s.serve(ctx, l)
}

func (s *Server) serve(ctx context.Context, l net.Listener) error {
	s.slots, s.end = make(chan struct{}, streams), ctx.Done()
	h := &http.Server{
		Handler: s.handler(), MaxHeaderBytes: headerMax, ErrorLog: zap.NewStdLog(zap.NewNop()), // browsers come and go
		ReadTimeout: patience, WriteTimeout: patience, IdleTimeout: idleMax,
	}
	stop := context.AfterFunc(ctx, func() { _ = h.Close() }) // a browser comes back by itself
	defer stop()
	if err := h.Serve(netutil.LimitListener(l, conns)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listen for browsers: %w", err)
	}
	return nil
}

//go:embed web
var web embed.FS

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", index)
	for _, name := range []string{"page.css", "page.js", "words.js", "icon.svg"} {
		mux.HandleFunc("GET /"+name, file)
	}
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /metrics", s.metrics)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for k, v := range headers {
			w.Header().Set(k, v)
		}
		if !ours(r.Host, s.Names(), func() []string { return Domains(Resolver) }) {
			http.Error(w, "This is a Raspberry Pi with pi-agent. Ask for it by its address or its own name.",
				http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// headers let the page have nothing but its own files, and let no other page have it.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src " +
		"'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cache-Control":                "no-store",
}

// index is the page in the language that the browser asks for.
func index(w http.ResponseWriter, r *http.Request) {
	text, err := web.ReadFile("web/index.html")
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	html := strings.Replace(string(text), `lang="en"`, `lang="`+language(r.Header.Get("Accept-Language"))+`"`, 1)
	_, _ = io.WriteString(w, html) // who does not wait for it does not want it
}

// language is the first of the languages asked for that the page has. Browsers put the one they like best first.
func language(accept string) string {
	for _, l := range strings.Split(accept, ",") {
		switch tag, _, _ := strings.Cut(strings.TrimSpace(l), "-"); {
		case strings.HasPrefix(tag, "es"):
			return "es"
		case strings.HasPrefix(tag, "en"):
			return "en"
		}
	}
	return "en"
}

func file(w http.ResponseWriter, r *http.Request) {
	text, err := web.ReadFile("web" + r.URL.Path)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", types[path.Ext(r.URL.Path)])
	_, _ = w.Write(text) // who does not wait for it does not want it
}

// types are the same on every board, whatever its /etc/mime.types says.
var types = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}
