// fasthttp: the same three answers as the others give.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/valyala/fasthttp"
)

type message struct {
	Message string `json:"message"`
}

func answer(ctx *fasthttp.RequestCtx) {
	switch string(ctx.Path()) {
	case "/":
		ctx.SetContentType("text/plain")
		ctx.SetBodyString("Hello, World!")
	case "/json":
		body, err := json.Marshal(message{"Hello, World!"})
		if err != nil {
			panic(err)
		}
		ctx.SetContentType("application/json")
		ctx.SetBody(body)
	case "/echo":
		ctx.SetContentType("application/octet-stream")
		ctx.SetBody(ctx.PostBody())
	default:
		ctx.SetStatusCode(fasthttp.StatusNotFound)
	}
}

func main() {
	server := fasthttp.Server{Handler: answer, NoDefaultServerHeader: true}
	log.Fatal(server.ListenAndServe(os.Args[1]))
}
