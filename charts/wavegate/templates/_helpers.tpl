{{/*
Names. wavegate is one per cluster: its objects are called `wavegate` whatever the release is called, so that messages,
documentation and the server's own arguments can name them. The namespace may be any.
*/}}

{{- define "wavegate.labels" -}}
app.kubernetes.io/name: wavegate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: wavegate
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Immutable in a Deployment, so it holds nothing that an upgrade or another release name could change. */}}
{{- define "wavegate.selector" -}}
app.kubernetes.io/name: wavegate
app.kubernetes.io/component: server
{{- end }}

{{- define "wavegate.image" -}}
{{- with .Values.image -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end }}
{{- end -}}
{{- end }}

{{- define "wavegate.account" -}}
system:serviceaccount:{{ .Release.Namespace }}:wavegate
{{- end }}

{{/*
Namespaces that no entry ever asks about. A webhook that must answer before the control plane, Argo CD or wavegate
itself can be repaired is an outage that nobody gets out of.
*/}}
{{- define "wavegate.excluded" -}}
{{- concat (list "kube-system") (.Values.argocd.namespaces | default list) (list .Release.Namespace) | uniq | toJson -}}
{{- end }}

{{/*
The namespaces of a mode (dict "root" . "mode" "enforce"), as a namespaceSelector. The default mode is whatever the
other modes' labels do not claim: no label at all, its own, and values that do not exist. Pinned namespaces have
entries of their own and are left out of the others, so that nothing is asked about twice.
*/}}
{{- define "wavegate.namespaces" -}}
{{- $excluded := include "wavegate.excluded" .root | fromJsonArray -}}
{{- $pinned := .root.Values.pinnedNamespaces | default list | uniq -}}
matchExpressions:
  {{- if eq .mode "pinned" }}
  - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson $pinned }}}
  {{- else }}
  {{- if eq .mode .root.Values.defaultMode }}
  - {key: wavegate.dev/mode, operator: NotIn, values: {{ without (list "enforce" "warn" "off") .mode | toJson }}}
  {{- else }}
  - {key: wavegate.dev/mode, operator: In, values: [{{ .mode }}]}
  {{- end }}
  - {key: kubernetes.io/metadata.name, operator: NotIn, values: {{ concat $excluded $pinned | toJson }}}
  {{- end }}
{{- end }}

{{/* What the schema cannot say, because it is about two values at once. */}}
{{- define "wavegate.check" -}}
{{- $excluded := include "wavegate.excluded" . | fromJsonArray -}}
{{- range .Values.pinnedNamespaces -}}
{{- if has . $excluded -}}
{{- fail (printf "pinnedNamespaces: %s is never guarded; it is kube-system, one of argocd.namespaces or wavegate's own" .) -}}
{{- end -}}
{{- end -}}
{{- with .Values.certificates -}}
{{- if and (eq .source "cert-manager") (not .certManager.issuerRef.name) -}}
{{- fail "certificates.certManager.issuerRef.name: name an issuer with a CA, or leave certificates.source at managed" -}}
{{- end -}}
{{- if and (eq .source "cert-manager") (not $.Values.server.enabled) -}}
{{- fail "certificates.source: cert-manager signs for the Service; a server elsewhere has certificates of its own: secret" -}}
{{- end -}}
{{- if and (eq .source "secret") (not $.Values.webhook.caBundle) -}}
{{- fail "webhook.caBundle: base64 of the PEM of the CA that signed the certificate in your Secret" -}}
{{- end -}}
{{- if and (ne .source "secret") $.Values.webhook.caBundle -}}
{{- fail (printf "webhook.caBundle: belongs to certificates.source: secret; with %s it would be overwritten at every upgrade" .source) -}}
{{- end -}}
{{- end -}}
{{- if and (not .Values.server.enabled) (not .Values.webhook.url) -}}
{{- fail "webhook.url: say where wavegate serves, since server.enabled is false" -}}
{{- end -}}
{{- if and (hasPrefix "https:" .Values.traces.endpoint) (not .Values.traces.ca.configMapName) -}}
{{- fail "traces.ca.configMapName: name the ConfigMap with the collector's CA, since wavegate's image has none to trust" -}}
{{- end -}}
{{- if and .Values.traces.ca.configMapName (not (hasPrefix "https:" .Values.traces.endpoint)) -}}
{{- fail "traces.ca.configMapName: belongs to a traces.endpoint with https" -}}
{{- end -}}
{{- end }}

{{/* The port of the collector of traces. */}}
{{- define "wavegate.tracesPort" -}}
{{- $url := urlParse .Values.traces.endpoint -}}
{{- if regexMatch ":[0-9]+$" $url.host -}}
{{- regexFind "[0-9]+$" $url.host -}}
{{- else -}}
{{- ternary 443 80 (eq $url.scheme "https") -}}
{{- end -}}
{{- end }}
