package bootstrap

import (
	"context"
)

// commands are what a person tells this board to do. They are carried out between two turns of the loop, to which
// everything belongs that they look at and change.
type commands struct {
	*host
	engine   *engine
	card     *card
	actor    *actor
	ties     *ties
	orders   chan order
	wasReset bool // see policy.View
}

// order is one command.
type order struct {
	do   func(context.Context) (string, error)
	done chan outcome
}

// outcome is a sentence about what was done, or an error that says why not.
type outcome struct {
	text string
	err  error
}

func (o order) carryOut(ctx context.Context) {
	text, err := o.do(ctx)
	o.done <- outcome{text, err}
}

// order has the loop do something, and waits for the outcome. It may be called from any goroutine.
func (c *commands) order(ctx context.Context, do func(context.Context) (string, error)) (string, error) {
	o := order{do, make(chan outcome, 1)}
	select {
	case c.orders <- o:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	select {
	case out := <-o.done:
		return out.text, out.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
