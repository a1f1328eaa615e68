package page

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/pi-agent/pi-agent/internal/picture"
)

const (
	pace = 2 * time.Second  // between looks at the picture, while somebody looks at the page
	beat = 10 * time.Second // between signs of life when nothing changes; the page gives up after two and a half of them
)

// frame is the newest picture as all streams show it.
type frame struct {
	at      time.Time
	version int // counts up when text changes
	text    string
}

// newest is the frame of now. However many ask for it, the picture is drawn once a pace.
func (s *Server) newest(ctx context.Context) (frame, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frame.version > 0 && time.Since(s.frame.at) < pace/2 {
		return s.frame, nil
	}
	text, err := still(s.Picture(ctx)).Encode()
	if err != nil {
		return frame{}, err
	}
	if s.frame.text != string(text) {
		s.frame.text = string(text)
		s.frame.version++
	}
	s.frame.at = time.Now()
	return s.frame, nil
}

// still leaves out what changes all the time and is not shown, so that a cluster in which nothing happens sends
// nothing.
func still(p picture.Picture) picture.Picture {
	p.Drawn = time.Time{}
	p.Boards = slices.Clone(p.Boards)
	for i := range p.Boards {
		p.Boards[i].Clock = nil // a clock that is wrong is in a warning
		p.Boards[i].Heard = time.Time{}
	}
	return p
}

// events streams the picture: the one of now, and then each that is another.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "Too many pages are open on this Pi: open the page of another one.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	say := func(event, data string) error {
		if err := out.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data); err != nil {
			return err
		}
		return out.Flush()
	}
	if err := out.SetReadDeadline(time.Time{}); err != nil { // nothing more is read, and a stream has no end
		return
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var shown int
	var said time.Time
	for {
		f, err := s.newest(r.Context())
		switch now := time.Now(); {
		case err != nil:
			s.Log.Debug("The page cannot show the picture: " + err.Error())
			return
		case f.version != shown:
			shown, said, err = f.version, now, say("picture", f.text)
		case now.Sub(said) >= beat:
			said, err = now, say("beat", "-")
		}
		if err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-s.end:
			return
		}
	}
}
