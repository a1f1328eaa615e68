// Command key prints the cluster key that an image gets: what is in KEY, once it is known to be one, a fresh one when
// KEY is empty, and nothing when it is "none".
package main

import (
	"fmt"
	"os"

	"github.com/pi-agent/pi-agent/internal/clusterkey"
)

func main() {
	key, err := keyFor(os.Getenv("KEY"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(key)
}

func keyFor(want string) (string, error) {
	switch want {
	case "none":
		return "", nil
	case "":
		want = clusterkey.Generate()
	}
	if _, err := clusterkey.Parse(want); err != nil {
		return "", fmt.Errorf("KEY is no cluster key: %w", err)
	}
	return want + "\n", nil
}
