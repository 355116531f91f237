// kube-controller-manager, as Kubernetes builds it, for tests on loopback.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"

	// JSON logs, which the command line flags of the manager name
	_ "k8s.io/component-base/logs/json/register"
)

func main() { os.Exit(cli.Run(app.NewControllerManagerCommand())) }
