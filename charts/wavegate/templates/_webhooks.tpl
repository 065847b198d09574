{{/*
The parts of an entry of the webhook configurations. YAML's anchors end with a document, and these are needed in two.
*/}}

{{/* Where the API server asks, and by which CA it knows the answer: (dict "root" . "path" "/validate/enforce"). */}}
{{- define "wavegate.client" -}}
{{- with .root.Values.webhook.url -}}
url: {{ printf "%s%s" (trimSuffix "/" .) $.path }}
{{- else -}}
service: {namespace: {{ .root.Release.Namespace }}, name: wavegate, path: {{ .path }}}
{{- end }}
{{- if eq .root.Values.certificates.source "secret" }}
caBundle: {{ .root.Values.webhook.caBundle }}
{{- end }}
{{- end }}

{{/* A dry run leaves neither Event nor record. Argo CD and kubectl wait for the answer, so the wait is short. */}}
{{- define "wavegate.answer" -}}
sideEffects: NoneOnDryRun
timeoutSeconds: {{ . }}
admissionReviewVersions: [v1]
{{- end }}

{{- define "wavegate.rules.workloads" -}}
- {apiGroups: [apps], apiVersions: [v1], resources: [deployments, statefulsets, daemonsets], operations: [CREATE, UPDATE]}
- {apiGroups: [argoproj.io], apiVersions: [v1alpha1], resources: [rollouts], operations: [CREATE, UPDATE]}
{{- end }}

{{- define "wavegate.rules.createdJobs" -}}
- {apiGroups: [batch], apiVersions: [v1], resources: [jobs], operations: [CREATE]}
{{- end }}

{{- define "wavegate.rules.updatedJobs" -}}
- {apiGroups: [batch], apiVersions: [v1], resources: [jobs], operations: [UPDATE]}
{{- end }}

{{- define "wavegate.rules.cronJobs" -}}
- {apiGroups: [batch], apiVersions: [v1], resources: [cronjobs], operations: [CREATE, UPDATE]}
{{- end }}

{{- define "wavegate.when.living" -}}
- name: is-not-being-deleted
  expression: "!has(object.metadata.deletionTimestamp)"
{{- end }}

{{- define "wavegate.when.notOfACronJob" -}}
- name: is-not-made-by-a-cron-job
  expression: request.userInfo.username != 'system:serviceaccount:kube-system:cronjob-controller'
{{- end }}

{{- define "wavegate.when.changed" -}}
{{ include "wavegate.when.living" . }}
- name: changes-what-matters
  expression: |-
    request.operation == 'CREATE'
    || object.?spec.?template != oldObject.?spec.?template
    || object.?spec.?strategy != oldObject.?spec.?strategy
    || object.?spec.?jobTemplate != oldObject.?spec.?jobTemplate
    || object.?spec.?workloadRef != oldObject.?spec.?workloadRef
    || !object.metadata.?labels.orValue({}).all(k, !k.startsWith('wavegate.dev/')
      || (k in oldObject.metadata.?labels.orValue({}) && oldObject.metadata.labels[k] == object.metadata.labels[k]))
    || !oldObject.metadata.?labels.orValue({}).all(k, !k.startsWith('wavegate.dev/')
      || k in object.metadata.?labels.orValue({}))
    || !object.metadata.?annotations.orValue({}).all(k,
      !(k.startsWith('wavegate.dev/') || k.startsWith('argocd.argoproj.io/'))
      || (k in oldObject.metadata.?annotations.orValue({}) && oldObject.metadata.annotations[k] == object.metadata.annotations[k]))
    || !oldObject.metadata.?annotations.orValue({}).all(k,
      !(k.startsWith('wavegate.dev/') || k.startsWith('argocd.argoproj.io/'))
      || k in object.metadata.?annotations.orValue({}))
{{- end }}

{{/* A Job that somebody marked or ordered. Two conditions ask, one for it and one for its contrary. */}}
{{- define "wavegate.marked" -}}
object.metadata.?annotations.orValue({}).exists(k, k.startsWith('argocd.argoproj.io/hook')
  || k == 'argocd.argoproj.io/sync-wave' || k == 'helm.sh/hook'
  || k.startsWith('wavegate.dev/') || k.startsWith('stamp.wavegate.dev/'))
|| object.metadata.?labels.orValue({}).exists(k, k.startsWith('wavegate.dev/') || k.startsWith('stamp.wavegate.dev/'))
|| object.?spec.?template.?metadata.?labels.orValue({}).exists(k, k.startsWith('wavegate.dev/'))
|| object.?spec.?template.?metadata.?annotations.orValue({}).exists(k, k.startsWith('wavegate.dev/'))
{{- end }}

{{/* Also of a Job that is being deleted: a finalizer keeps it for as long as its author likes, and it is evidence still. */}}
{{- define "wavegate.when.keysChanged" -}}
- name: changes-a-key
  expression: |-
    object.?spec.?template.?metadata != oldObject.?spec.?template.?metadata
    || !object.metadata.?labels.orValue({}).all(k, !(k.startsWith('wavegate.dev/') || k.startsWith('stamp.wavegate.dev/'))
      || (k in oldObject.metadata.?labels.orValue({}) && oldObject.metadata.labels[k] == object.metadata.labels[k]))
    || !oldObject.metadata.?labels.orValue({}).all(k, !(k.startsWith('wavegate.dev/') || k.startsWith('stamp.wavegate.dev/'))
      || k in object.metadata.?labels.orValue({}))
    || !object.metadata.?annotations.orValue({}).all(k, !(k.startsWith('wavegate.dev/') || k.startsWith('stamp.wavegate.dev/'))
      || (k in oldObject.metadata.?annotations.orValue({}) && oldObject.metadata.annotations[k] == object.metadata.annotations[k]))
    || !oldObject.metadata.?annotations.orValue({}).all(k, !(k.startsWith('wavegate.dev/') || k.startsWith('stamp.wavegate.dev/'))
      || k in object.metadata.?annotations.orValue({}))
{{- end }}
