package enroll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/pi-agent/pi-agent/internal/peer"
	"github.com/pi-agent/pi-agent/internal/trust"
)

// Server answers hello and join for one board, shows its picture of the cluster, and probes the ports of others.
type Server struct {
	id     *Identity
	host   Host
	model  trust.Model
	log    *zap.Logger
	rates  *rates
	probes chan struct{} // one element for each board whose ports this one probes
	addr   string
	ready  chan struct{}
	listen net.Addr // set before ready is closed
}

// NewServer returns a server that will listen on addr, such as ":2378".
func NewServer(addr string, id *Identity, host Host, model trust.Model, log *zap.Logger) *Server {
	return &Server{
		id: id, host: host, model: model, log: log, rates: newRates(), probes: make(chan struct{}, probesMax),
		addr: addr, ready: make(chan struct{}),
	}
}

// Ready is closed when the server accepts connections, or cannot yet, for another program has its port.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr is where the server listens, once it is ready; nil where another program has its port then.
func (s *Server) Addr() net.Addr { return s.listen }

// Run serves until ctx ends and then returns nil; an error means that it could not listen.
func (s *Server) Run(ctx context.Context) error {
	tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", s.addr)
	first := true
	if errors.Is(err, syscall.EADDRINUSE) {
		first = false
		s.log.Warn(fmt.Sprintf("Other boards do not reach the agent: %v.", err))
		close(s.ready)
		if tcp, err = s.await(ctx); ctx.Err() != nil {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("serve hello and join: %w", err)
	}
	if first {
		s.listen = tcp.Addr()
		close(s.ready)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+helloPath, s.serve(trust.Hello, s.hello))
	mux.HandleFunc("POST "+joinPath, s.serve(trust.Join, s.join))
	mux.HandleFunc("POST "+lookPath, s.serve(trust.Hello, s.look))
	mux.HandleFunc("POST "+probePath, s.serve(trust.Hello, s.probe))
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

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := h.ServeTLS(newGate(tcp), "", ""); !errors.Is(err, http.ErrServerClosed) {
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

// againAfter is how long the server waits before it tries once more to get a port that another program has.
const againAfter = 2 * time.Second

// await listens as soon as the port is free.
func (s *Server) await(ctx context.Context) (net.Listener, error) {
	again := time.NewTicker(againAfter)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-again.C:
		}
		tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", s.addr)
		if err == nil {
			s.log.Info("Other boards reach the agent now.")
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return tcp, err
		}
	}
}

// quiet is the log for what net/http has to say: strangers' broken handshakes, mostly.
func (s *Server) quiet() *log.Logger {
	std, err := zap.NewStdLogAt(s.log, zap.DebugLevel)
	if err != nil { // only for a level that does not exist
		return zap.NewStdLog(zap.NewNop())
	}
	return std
}

func (s *Server) hello(_ context.Context, p trust.Peer) (status int, answer any) {
	s.host.Met(p)
	claim := s.host.Answer(p)
	claim.Clock = time.Now().UTC()
	return http.StatusOK, helloWire{claim, s.host.Managers()}
}

func (s *Server) join(ctx context.Context, p trust.Peer) (status int, answer any) {
	t, err := s.host.Ticket(ctx, p)
	if err != nil {
		s.log.Debug("Refused the join token.", zap.String("board", p.Claim.Serial.Name()), zap.Error(err))
		return http.StatusConflict, refusal{err.Error()}
	}
	return http.StatusOK, ticketWire{Token: t.Token.Reveal(), Managers: t.Managers}
}

// reply is what a path does for a board that was let in.
type reply func(ctx context.Context, p trust.Peer) (status int, answer any)

// serve makes the handler of a path. Nothing is proved to a board that has not proved itself before: it could test
// guesses of the key on that.
func (s *Server) serve(purpose trust.Purpose, reply reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		req, status, err := s.receive(w, r)
		if err != nil {
			s.send(w, status, refusal{err.Error()}, nil)
			return
		}
		p, status, err := s.admit(req, purpose)
		if err != nil {
			s.send(w, status, refusal{err.Error()}, &req.Message)
			return
		}
		status, answer := reply(r.Context(), p)
		s.send(w, status, answer, &req.Message)
	}
}

// request is one that came with the proof it needs.
type request struct {
	trust.Message
	from netip.Addr
	body []byte
}

// receive reads a request and checks its proof. With an error comes the status of the answer.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) (req request, status int, err error) {
	source, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return req, http.StatusBadRequest, errors.New("no source address")
	}
	req.from = source.Addr().Unmap()
	if !s.rates.allow(req.from, time.Now()) {
		return req, http.StatusTooManyRequests, fmt.Errorf("more than %d requests a second from %s", sourceRate, req.from)
	}
	if req.body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax)); err != nil {
		return req, http.StatusBadRequest, fmt.Errorf("the request is not understood: %w", err)
	}
	req.Server, req.Request = s.id.Key(), requestText(r.Method, r.URL.Path, req.body)
	if req.Client, err = peerKey(*r.TLS); err != nil {
		return req, http.StatusForbidden, err
	}
	if req.Channel, err = channel(r.TLS); err != nil {
		return req, http.StatusForbidden, err
	}
	if err := s.model.Check(req.Message, r.Header.Get(proofHeader)); err != nil {
		claim, _ := readClaim(req.body) // where it is none there is no cluster to count
		return req, http.StatusForbidden, s.turnAway(req.from, claim, err)
	}
	return req, 0, nil
}

// admit reads the claim of the board that asks and lets the model decide. With an error comes the status of the answer.
func (s *Server) admit(req request, purpose trust.Purpose) (p trust.Peer, status int, err error) {
	claim, err := readClaim(req.body)
	if err != nil {
		return trust.Peer{}, http.StatusBadRequest, err
	}
	if err := s.model.Peer(trust.Contact{Purpose: purpose, From: req.from, Key: req.Client, Claim: claim}); err != nil {
		return trust.Peer{}, http.StatusForbidden, s.turnAway(req.from, claim, err)
	}
	return trust.Peer{Claim: claim, Key: req.Client, Addr: netip.AddrPortFrom(req.from, peer.Port)}, 0, nil
}

// readClaim reads the body of a request. The claim is zero when it is not valid.
func readClaim(body []byte) (peer.Claim, error) {
	var claim peer.Claim
	if err := json.Unmarshal(body, &claim); err != nil {
		return peer.Claim{}, fmt.Errorf("the request is not understood: %s", words(err.Error()))
	}
	if err := claim.Validate(); err != nil {
		return peer.Claim{}, fmt.Errorf("the claim is not valid: %w", err)
	}
	return claim, nil
}

// turnAway notes a board that is no peer, and returns the error that it is told.
func (s *Server) turnAway(from netip.Addr, claim peer.Claim, err error) error {
	s.log.Debug("Turned a board away.", zap.Stringer("from", from), zap.Error(err))
	if claim != (peer.Claim{}) {
		s.host.Stranger(claim)
	}
	return fmt.Errorf("not a peer: %w", err)
}

// send answers a request, with a proof when the request had one.
func (s *Server) send(w http.ResponseWriter, status int, answer any, m *trust.Message) {
	body, err := json.Marshal(answer)
	if err != nil { // for a clock in the year 10000, say
		s.log.Warn(fmt.Sprintf("There is no way to put an answer to another board: %v.", err))
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	if m != nil {
		m.Answer = answerText(status, body)
		if proof := s.model.Prove(*m); proof != "" {
			w.Header().Set(proofHeader, proof)
		}
	}
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.log.Debug("The other board did not wait for the answer.", zap.Error(err))
	}
}
