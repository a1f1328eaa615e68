package bootstrap

import (
	"context"
)

// order is what a person has told this board to do. It is carried out between two turns of the loop, to which everything
// belongs that it looks at and changes.
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
func (l *Loop) order(ctx context.Context, do func(context.Context) (string, error)) (string, error) {
	o := order{do, make(chan outcome, 1)}
	select {
	case l.orders <- o:
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
