import fc from 'fast-check'

// CI says of a commit whether it is right, so it draws the same cases each time; everywhere else each run draws its own, and
// one that fails prints its seed.
if ((process.env['CI'] ?? '') !== '') fc.configureGlobal({ seed: 20_261_122 })
