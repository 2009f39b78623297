package registry_test

import (
	"fmt"
	"io"
	"net/http"

	"uniqverse/internal/registry"
)

// The caller's code is the same whether email runs in this process or elsewhere.
func Example() {
	reg, err := registry.New(registry.Options{Far: map[string]string{}}) // {"email": "http://10.0.0.2:8004"}
	if err != nil {
		fmt.Println(err)
		return
	}
	reg.SetNear("email", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "here is ", r.URL.Path)
	}))
	reg.Seal()

	res, err := reg.Client("email").Get("http://email/inbox")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	fmt.Println(res.StatusCode, string(b))
	// Output: 200 here is /inbox
}
