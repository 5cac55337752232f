module wit_component

go 1.25

require go.bytecodealliance.org/pkg v0.2.3

// What the generated bindings use; it lies here, so that building fetches nothing.
replace go.bytecodealliance.org/pkg => ./vendored
