package enroll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/internal/peer"
)

// Server answers hello and join for one board.
type Server struct {
	id     *Identity
	host   Host
	trust  Trust
	log    *zap.Logger
	rates  *rates
	addr   string
	ready  chan struct{}
	listen net.Addr // set before ready is closed
}

// NewServer returns a server that will listen on addr, such as ":2378".
func NewServer(addr string, id *Identity, host Host, trust Trust, log *zap.Logger) *Server {
	return &Server{id: id, host: host, trust: trust, log: log, rates: newRates(), addr: addr, ready: make(chan struct{})}
}

// Ready is closed when the server accepts connections.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr is where the server listens, once it is ready.
func (s *Server) Addr() net.Addr { return s.listen }

// Run serves until ctx ends and then returns nil; an error means that it could not listen.
func (s *Server) Run(ctx context.Context) error {
	tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", s.addr)
	if err != nil {
		return fmt.Errorf("serve hello and join: %w", err)
	}
	s.listen = tcp.Addr()
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+helloPath, s.hello)
	mux.HandleFunc("POST "+joinPath, s.join)
	h := &http.Server{
		Handler:           mux,
		TLSConfig:         s.id.tlsConfig(),
		ReadHeaderTimeout: handshakeMax, // also bounds the TLS handshake
		ReadTimeout:       requestMax,
		WriteTimeout:      answerMax,
		IdleTimeout:       idleMax,
		MaxHeaderBytes:    headerMax,
		ErrorLog:          s.quiet(), // strangers' broken handshakes
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	h.Protocols = new(http.Protocols)
	h.Protocols.SetHTTP1(true)
	close(s.ready)

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		bounded := newPerSource(netutil.LimitListener(tcp, connMax))
		if err := h.ServeTLS(bounded, "", ""); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve hello and join: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if h.Shutdown(grace) != nil {
			_ = h.Close() // what is still open after the grace is cut, which is the intent
		}
		return nil
	})
	return g.Wait()
}

// quiet is the log for what net/http has to say: strangers' broken handshakes, mostly.
func (s *Server) quiet() *log.Logger {
	std, err := zap.NewStdLogAt(s.log, zap.DebugLevel)
	if err != nil { // only for a level that does not exist
		return zap.NewStdLog(zap.NewNop())
	}
	return std
}

func (s *Server) hello(w http.ResponseWriter, r *http.Request) {
	p, ok := s.admit(w, r, Hello)
	if !ok {
		return
	}
	s.host.Met(p)
	claim := s.host.Claim()
	claim.Clock = time.Now().UTC()
	s.answer(w, http.StatusOK, claim)
}

func (s *Server) join(w http.ResponseWriter, r *http.Request) {
	p, ok := s.admit(w, r, Join)
	if !ok {
		return
	}
	t, err := s.host.Ticket(r.Context(), p)
	if err != nil {
		s.log.Debug("Refused the join token.", zap.String("board", p.Claim.Serial.Name()), zap.Error(err))
		s.answer(w, http.StatusConflict, refusal{err.Error()})
		return
	}
	s.answer(w, http.StatusOK, ticketWire{Token: t.Token.Reveal(), Managers: t.Managers})
}

// admit reads the claim of the board that asks and lets trust decide. When it is not admitted the answer is written.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, purpose Purpose) (Peer, bool) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		s.answer(w, http.StatusBadRequest, refusal{"no source address"})
		return Peer{}, false
	}
	source := from.Addr().Unmap()
	if !s.rates.allow(source, time.Now()) {
		s.answer(w, http.StatusTooManyRequests, refusal{fmt.Sprintf("more than %d requests a second from %s", sourceRate, source)})
		return Peer{}, false
	}
	var claim peer.Claim
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax)).Decode(&claim); err != nil {
		s.answer(w, http.StatusBadRequest, refusal{"the request is not understood: " + err.Error()})
		return Peer{}, false
	}
	if err := claim.Validate(); err != nil {
		s.answer(w, http.StatusBadRequest, refusal{"the claim is not valid: " + err.Error()})
		return Peer{}, false
	}
	key, err := peerKey(*r.TLS)
	if err != nil {
		s.answer(w, http.StatusForbidden, refusal{err.Error()})
		return Peer{}, false
	}
	contact := Contact{Purpose: purpose, TLS: *r.TLS, From: source, Key: key, Claim: claim}
	if err := s.trust.Peer(contact); err != nil {
		s.log.Debug("Turned a board away.", zap.Stringer("from", source), zap.Error(err))
		s.answer(w, http.StatusForbidden, refusal{"not a peer: " + err.Error()})
		return Peer{}, false
	}
	return Peer{Claim: claim, Key: key, Addr: netip.AddrPortFrom(source, peer.Port)}, true
}

func (s *Server) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.log.Debug("The other board did not wait for the answer.", zap.Error(err))
	}
}
